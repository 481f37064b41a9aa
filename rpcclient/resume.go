package rpcclient

import (
	"context"
	"net"

	"agentctl/rpcclient/wire"
)

// Resume waits for the answer to an event that other code has sent on conn, as the
// request seq. The agent must have answered the handshake, and the authentication
// if there was one. Nobody may have read a byte of the event's answer. Resume
// closes conn.
//
// The results are those of [Client.Publish]. The event counts as sent, so an
// error is never [ErrNotSent]. Resume uses two fields of cfg: Addr for errors, and
// Limits.
func Resume(ctx context.Context, cfg Config, conn net.Conn, seq uint64) (wire.Published, error) {
	c := makeClient(cfg.withDefaults(), conn)
	defer c.Close()
	k := newCall[nothing](c, wire.Event)
	k.seq = seq
	k.state.Store(written)
	c.last = seq
	c.open[seq] = k
	c.start()
	return k.published(ctx)
}
