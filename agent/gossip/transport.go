package gossip

import (
	"strings"

	"github.com/hashicorp/memberlist"
)

// bindTries is how often a free gossip port is looked for: one that is free for
// TCP may be taken for UDP.
const bindTries = 10

// Listen opens the gossip ports. If the configuration has port 0, it has that of the
// ports afterwards.
// They belong to memberlist once it has been made; until then see CloseTransport.
func Listen(conf *memberlist.Config) (*Ports, error) {
	tries := 1
	if conf.BindPort == 0 {
		tries = bindTries
	}
	for try := 1; ; try++ {
		p, err := open(conf)
		if err != nil {
			if try < tries && AddressInUse(err) {
				continue
			}
			return nil, err
		}
		if conf.BindPort == 0 {
			conf.BindPort = p.Port()
			conf.AdvertisePort = conf.BindPort
		}
		return p, nil
	}
}

// AddressInUse tells whether a port could not be had because someone else has it;
// memberlist keeps only the text of the error. The second text is Windows'.
func AddressInUse(err error) bool {
	return strings.Contains(err.Error(), "address already in use") || strings.Contains(err.Error(), "Only one usage of each socket address")
}

// CloseTransport closes ports that memberlist did not take over. Whatever has come
// in by then has to be taken from the transport, which waits for that.
func CloseTransport(t memberlist.Transport) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		t.Shutdown() // it has none to give
	}()
	for {
		select {
		case <-t.PacketCh():
		case conn := <-t.StreamCh():
			conn.Close()
		case <-done:
			return
		}
	}
}
