package cluster

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"agentctl/rpcclient"
	"agentctl/rpcclient/wire"
)

// ourTalker is our client.
type ourTalker struct {
	t *testing.T
	c *rpcclient.Client
}

func (o *ourTalker) event(name, payload string, coalesce bool) error {
	return plain(o.c.Event(o.t.Context(), name, []byte(payload), coalesce))
}

func (o *ourTalker) members() ([]string, error) {
	list, err := o.c.Members(o.t.Context())
	return ourMembers(list), plain(err)
}

func (o *ourTalker) membersFiltered(tags map[string]string, status, name string) ([]string, error) {
	list, err := o.c.MembersFiltered(o.t.Context(), wire.MembersFilteredRequest{Tags: tags, Status: status, Name: name})
	return ourMembers(list), plain(err)
}

func ourMembers(list []wire.Member) (out []string) {
	for _, m := range list {
		out = append(out, fmt.Sprint(m))
	}
	slices.Sort(out)
	return out
}

func (o *ourTalker) tags(set map[string]string, remove []string) error {
	return plain(o.c.UpdateTags(o.t.Context(), set, remove))
}

func (o *ourTalker) join(addr string) (int, error) {
	n, err := o.c.Join(o.t.Context(), []string{addr}, false)
	return n, plain(err)
}

func (o *ourTalker) forceLeave(node string, prune bool) error {
	return plain(o.c.ForceLeave(o.t.Context(), node, prune))
}

func (o *ourTalker) stream(filter string) (func() heard, func() error, error) {
	ctx, cancel := context.WithCancel(o.t.Context())
	records, err := o.c.Stream(ctx, filter)
	if err != nil {
		cancel()
		return nil, nil, plain(err)
	}
	_, err = o.c.Members(ctx) // what is answered after it has subscribed
	c := make(chan heard, 1024)
	go func() {
		for r, err := range records {
			if err != nil {
				return
			}
			h := heard{event: r.Event, name: r.Name, payload: string(r.Payload), coalesce: r.Coalesce, timed: r.LTime > 0, id: r.ID}
			for _, m := range r.Members {
				h.members = append(h.members, m.Name+" "+m.Status)
			}
			c <- h
		}
	}()
	next := func() heard { o.t.Helper(); return await(o.t, "record", c) }
	return next, func() error { cancel(); _, err := o.c.Members(o.t.Context()); return plain(err) }, plain(err)
}

func (o *ourTalker) monitor(level string) (func() string, func() error, error) {
	ctx, cancel := context.WithCancel(o.t.Context())
	lines, err := o.c.Monitor(ctx, level)
	if err != nil {
		cancel()
		return nil, nil, plain(err)
	}
	c := make(chan string, 4096)
	go func() {
		for line, err := range lines {
			if err != nil {
				return
			}
			c <- line
		}
	}()
	next := func() string { o.t.Helper(); return await(o.t, "line", c) }
	return next, func() error { cancel(); _, err := o.c.Members(o.t.Context()); return plain(err) }, nil
}

func (o *ourTalker) query(q wire.QueryRequest) (out []string, err error) {
	records, err := o.c.Query(o.t.Context(), q)
	if err != nil {
		return nil, plain(err)
	}
	for r, err := range records {
		if err != nil {
			return out, plain(err)
		}
		out = append(out, fmt.Sprintf("%s from %s: %q", r.Type, r.From, r.Payload))
	}
	slices.Sort(out)
	return out, nil
}

func (o *ourTalker) respond(id uint64, payload string) error {
	return plain(o.c.Respond(o.t.Context(), id, []byte(payload)))
}

func (o *ourTalker) key(verb, key string) (string, error) {
	var r wire.KeyResponse
	var err error
	switch verb {
	case "install":
		r, err = o.c.InstallKey(o.t.Context(), key)
	case "use":
		r, err = o.c.UseKey(o.t.Context(), key)
	case "remove":
		r, err = o.c.RemoveKey(o.t.Context(), key)
	default:
		r, err = o.c.ListKeys(o.t.Context())
		return keyText(r.Messages, r.Keys, r.NumNodes), plain(err)
	}
	return keyText(r.Messages, nil, 0), plain(err) // all that the stock client gives
}

func (o *ourTalker) coordinate(node string) (string, error) {
	c, ok, err := o.c.Coordinate(o.t.Context(), node)
	if !ok {
		return "none", plain(err)
	}
	return fmt.Sprintf("%d dimensions, height above zero: %v", len(c.Vec), c.Height > 0), plain(err)
}

func (o *ourTalker) stats() (map[string]map[string]string, error) {
	s, err := o.c.Stats(o.t.Context())
	return s, plain(err)
}

func (o *ourTalker) leave() error { return plain(o.c.Leave(o.t.Context())) }
func (o *ourTalker) close()       { o.c.Close() }
