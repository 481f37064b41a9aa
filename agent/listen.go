package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/hashicorp/memberlist"
)

// bindTries is how often a free gossip port is looked for: one that is free for
// TCP may be taken for UDP.
const bindTries = 10

// openGossip opens the gossip ports as memberlist would.
// They belong to memberlist once it has been made; until then see closeGossip.
func openGossip(conf *memberlist.Config) (*memberlist.NetTransport, error) {
	tries := 1
	if conf.BindPort == 0 {
		tries = bindTries
	}
	for try := 1; ; try++ {
		t, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs:    []string{conf.BindAddr},
			BindPort:     conf.BindPort,
			Logger:       conf.Logger,
			MetricLabels: conf.MetricLabels,
		})
		if err != nil {
			if try < tries && inUse(err) {
				continue
			}
			return nil, err
		}
		if conf.BindPort == 0 {
			conf.BindPort = t.GetAutoBindPort()
			conf.AdvertisePort = conf.BindPort
		}
		return t, nil
	}
}

// inUse tells whether a port could not be had because someone else has it;
// memberlist keeps only the text of the error. The second text is Windows'.
func inUse(err error) bool {
	return strings.Contains(err.Error(), "address already in use") || strings.Contains(err.Error(), "Only one usage of each socket address")
}

// closeGossip closes ports that memberlist did not take over. Whatever has come
// in by then has to be taken from the transport, which waits for that.
func closeGossip(t memberlist.Transport) {
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

// listen opens a TCP address or a unix socket, which only its owner may use.
func listen(addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return net.Listen("tcp", addr)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		// A socket that refuses is left from a crash; one that is too busy to
		// answer is not.
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("listen unix %s: address already in use", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	restore := privateUmask() // before the chmod below nobody else gets in either
	ln, err := net.Listen("unix", path)
	restore()
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// listenError names the port that could not be had and what to do.
func listenError(what, flag string, err error) error {
	if inUse(err) {
		return fmt.Errorf("%s: %w; is an agent running already? Stop it, or choose another address with -%s", what, err, flag)
	}
	return fmt.Errorf("%s: %w", what, err)
}
