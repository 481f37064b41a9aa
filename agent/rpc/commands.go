package rpc

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/rpcclient/wire"
)

// command reads the body of a request, does what it asks and answers it. An
// error ends the session.
type command func(*session, wire.RequestHeader) error

// commands has each command of the protocol. It is filled in at start, since
// some of them lead back to it.
var commands map[wire.Command]command

func init() {
	commands = map[wire.Command]command{
		wire.Handshake:       adapt((*session).handshake),
		wire.Auth:            adapt((*session).auth),
		wire.Event:           adapt((*session).event),
		wire.ForceLeave:      adapt((*session).forceLeave),
		wire.Join:            adapt((*session).join),
		wire.Members:         adapt((*session).members),
		wire.MembersFiltered: adapt((*session).membersFiltered),
		wire.Stream:          adapt((*session).stream),
		wire.Monitor:         adapt((*session).startMonitor),
		wire.Stop:            adapt((*session).stop),
		wire.Leave:           adapt((*session).leave),
		wire.Tags:            adapt((*session).tags),
		wire.Query:           adapt((*session).query),
		wire.Respond:         adapt((*session).respond),
		wire.InstallKey:      adapt(changeKey(Keys.InstallKey)),
		wire.UseKey:          adapt(changeKey(Keys.UseKey)),
		wire.RemoveKey:       adapt(changeKey(Keys.RemoveKey)),
		wire.ListKeys:        adapt((*session).listKeys),
		wire.Stats:           adapt((*session).stats),
		wire.GetCoordinate:   adapt((*session).coordinate),
	}
}

// none stands for a body that a command does not have.
type none = struct{}

// request is what a command gets.
type request[Body any] struct {
	wire.RequestHeader
	body Body
}

// adapt makes a command of a function from a request's body to its answer's.
// The error's text is the answer's; a body goes with it all the same, since
// clients wait for one.
func adapt[Req, Resp any](do func(*session, request[Req]) (Resp, error)) command {
	return func(c *session, h wire.RequestHeader) error {
		req := request[Req]{RequestHeader: h}
		var resp Resp
		if h.Command.HasRequest() {
			if err := c.r.Read(&req.body); err != nil {
				return c.unreadable(h, resp, err)
			}
		}
		resp, err := do(c, req)
		answered := c.answer(h, resp, err)
		if then := c.then; then != nil {
			c.then = nil
			then() // also where the client is gone: an agent that has left is to end
		}
		if answered != nil {
			return answered
		}
		if !c.ready() && err != nil || errors.Is(err, errWrongKey) {
			return c.strike(nil)
		}
		return nil
	}
}

// answer queues the answer to h.
func (c *session) answer(h wire.RequestHeader, resp any, err error) error {
	var text string
	if err != nil {
		text = err.Error()
	}
	if !h.Command.HasResponse() {
		resp = nil
	}
	return c.send(h, text, resp)
}

// unreadable answers a request whose body is too large or not what it should
// be, and ends the session, since the next request cannot be found.
func (c *session) unreadable(h wire.RequestHeader, resp any, err error) error {
	var reason string
	switch reason = unreadableReason(err); reason {
	case rejectLimit:
		err = fmt.Errorf("%s request refused: %w", h.Command, err)
	case rejectMalformed:
		err = fmt.Errorf("%s request refused: its body cannot be decoded", h.Command)
	default:
		return err
	}
	c.reject(reason, c.name, err)
	if err := c.answer(h, resp, err); err != nil {
		return err
	}
	return errClosing
}

func (c *session) event(r request[wire.EventRequest]) (none, error) {
	sent, err := c.backend.Publish(c.ctx, r.body.Name, r.body.Payload, r.body.Coalesce)
	c.sent = sent
	if err != nil {
		c.sampled.Log(slog.LevelWarn, "an event was not published", time.Second, "client", c.name, "error", err)
	}
	return none{}, err
}

func (c *session) forceLeave(r request[wire.ForceLeaveRequest]) (none, error) {
	return none{}, c.backend.Cluster.ForceLeave(r.body.Node, r.body.Prune)
}

func (c *session) join(r request[wire.JoinRequest]) (wire.JoinResponse, error) {
	n, err := c.backend.Cluster.Join(r.body.Existing, r.body.Replay)
	return wire.JoinResponse{Num: int32(n)}, err
}

// goodbye is how long a client that told the agent to leave has to read the answer and
// go. Serf's own client may report an error if the connection ends right behind it.
const goodbye = 15 * time.Millisecond

func (c *session) leave(request[none]) (none, error) {
	c.sampled.Log(slog.LevelInfo, "rpc: leave requested", time.Second, "client", c.name)
	c.then = func() {
		// A client that is gone does not keep the agent from shutting down.
		_ = c.out.flush(c.ctx)
		c.in.await(goodbye)
		c.backend.Cluster.Shutdown()
	}
	err := c.backend.Cluster.Leave()
	if err != nil {
		c.sampled.Log(slog.LevelError, "rpc: leave failed", time.Second, "client", c.name, "error", err)
	}
	return none{}, err
}

func (c *session) tags(r request[wire.TagsRequest]) (none, error) {
	return none{}, c.backend.Node.UpdateTags(r.body.Tags, r.body.DeleteTags)
}

func (c *session) stats(request[none]) (map[string]map[string]string, error) {
	return c.backend.Node.Stats(), nil
}

func (c *session) coordinate(r request[wire.CoordinateRequest]) (wire.CoordinateResponse, error) {
	coord, ok := c.backend.Node.Coordinate(r.body.Node)
	if !ok || coord == nil {
		return wire.CoordinateResponse{}, nil
	}
	return wire.CoordinateResponse{Ok: true, Coord: wire.Coordinate{
		Vec:        coord.Vec,
		Error:      coord.Error,
		Adjustment: coord.Adjustment,
		Height:     coord.Height,
	}}, nil
}

func changeKey(do func(Keys, string) (*serf.KeyResponse, error)) func(*session, request[wire.KeyRequest]) (wire.KeyResponse, error) {
	return func(c *session, r request[wire.KeyRequest]) (wire.KeyResponse, error) {
		resp, err := keyResponse(do(c.backend.Keys, r.body.Key))
		resp.Keys = nil // only list-keys has them
		return resp, err
	}
}

func (c *session) listKeys(request[none]) (wire.KeyResponse, error) {
	return keyResponse(c.backend.Keys.ListKeys())
}

// keyResponse takes a nil response too: with an error, serf may give none.
func keyResponse(r *serf.KeyResponse, err error) (wire.KeyResponse, error) {
	if r == nil {
		return wire.KeyResponse{}, err
	}
	return wire.KeyResponse{
		Messages: r.Messages,
		Keys:     r.Keys,
		NumNodes: r.NumNodes,
		NumErr:   r.NumErr,
		NumResp:  r.NumResp,
	}, err
}
