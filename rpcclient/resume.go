package rpcclient

import (
	"context"
	"net"

	"agentctl/rpcclient/wire"
)

// Resume waits for the answer to an event that somebody else sent on conn, as
// the request seq, after the agent had answered the greeting. Nothing of the
// answer may have been read. Resume closes conn. The results are those of
// [Client.EventWarn]; the event counts as sent, so an error is never
// [ErrNotSent]. Of cfg, Addr is for errors and Limits apply.
func Resume(ctx context.Context, cfg Config, conn net.Conn, seq uint64) (warning string, err error) {
	c := makeClient(cfg.withDefaults(), conn)
	defer c.Close()
	k := newCall[nothing](c, wire.Event)
	k.seq = seq
	k.state.Store(written)
	c.last = seq
	c.open[seq] = k
	c.start()
	if _, err := k.wait(ctx); err != nil {
		return "", err
	}
	return k.warn, nil
}
