package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"agentctl/rpcclient/wire"

	"github.com/hashicorp/logutils"
	serfclient "github.com/hashicorp/serf/client"
)

// stockTalker is the stock Go client.
type stockTalker struct {
	t *testing.T
	c *serfclient.RPCClient
}

func (s *stockTalker) event(name, payload string, coalesce bool) error {
	return plain(s.c.UserEvent(name, []byte(payload), coalesce))
}

func (s *stockTalker) members() ([]string, error) {
	list, err := s.c.Members()
	return stockMembers(list), plain(err)
}

func (s *stockTalker) membersFiltered(tags map[string]string, status, name string) ([]string, error) {
	list, err := s.c.MembersFiltered(tags, status, name)
	return stockMembers(list), plain(err)
}

func stockMembers(list []serfclient.Member) (out []string) {
	for _, m := range list {
		out = append(out, fmt.Sprint(m)) // the fields of ours, in the same order
	}
	slices.Sort(out)
	return out
}

func (s *stockTalker) tags(set map[string]string, remove []string) error {
	return plain(s.c.UpdateTags(set, remove))
}

func (s *stockTalker) join(addr string) (int, error) {
	n, err := s.c.Join([]string{addr}, false)
	return n, plain(err)
}

func (s *stockTalker) forceLeave(node string, prune bool) error {
	if prune {
		return plain(s.c.ForceLeavePrune(node))
	}
	return plain(s.c.ForceLeave(node))
}

func (s *stockTalker) stream(filter string) (func() heard, func() error, error) {
	c := make(chan map[string]any, 1024)
	handle, err := s.c.Stream(filter, c)
	if err != nil {
		return nil, nil, plain(err)
	}
	_, err = s.c.Members() // what is answered after it has subscribed
	next := func() heard {
		s.t.Helper()
		r := await(s.t, "record", c)
		h := heard{event: text(r["Event"]), name: text(r["Name"]), payload: text(r["Payload"]), timed: number(r["LTime"]) > 0, id: number(r["ID"])}
		h.coalesce, _ = r["Coalesce"].(bool)
		list, _ := r["Members"].([]any)
		for _, m := range list {
			h.members = append(h.members, text(field(m, "Name"))+" "+text(field(m, "Status")))
		}
		return h
	}
	return next, func() error { return plain(s.c.Stop(handle)) }, plain(err)
}

// field is a field of a record inside a record.
func field(record any, name string) any {
	switch m := record.(type) {
	case map[string]any:
		return m[name]
	case map[any]any:
		return m[name]
	}
	return nil
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

func number(v any) uint64 {
	switch v := v.(type) {
	case int64:
		return uint64(v)
	case uint64:
		return v
	}
	return 0
}

func (s *stockTalker) monitor(level string) (func() string, func() error, error) {
	c := make(chan string, 4096)
	handle, err := s.c.Monitor(logutils.LogLevel(level), c)
	if err != nil {
		return nil, nil, plain(err)
	}
	next := func() string { s.t.Helper(); return strings.TrimSuffix(await(s.t, "line", c), "\n") }
	return next, func() error { return plain(s.c.Stop(handle)) }, nil
}

func (s *stockTalker) query(q wire.QueryRequest) (out []string, err error) {
	acks, responses := make(chan string, 64), make(chan serfclient.NodeResponse, 64)
	if err := s.c.Query(&serfclient.QueryParam{
		FilterNodes: q.FilterNodes, FilterTags: q.FilterTags, RequestAck: q.RequestAck, RelayFactor: q.RelayFactor,
		Timeout: q.Timeout, Name: q.Name, Payload: q.Payload, AckCh: acks, RespCh: responses,
	}); err != nil {
		return nil, plain(err)
	}
	for from := range acks {
		out = append(out, fmt.Sprintf("%s from %s: %q", wire.QueryAck, from, ""))
	}
	for r := range responses {
		out = append(out, fmt.Sprintf("%s from %s: %q", wire.QueryResponse, r.From, r.Payload))
	}
	slices.Sort(out)
	return out, nil
}

func (s *stockTalker) respond(id uint64, payload string) error {
	return plain(s.c.Respond(id, []byte(payload)))
}

func (s *stockTalker) key(verb, key string) (string, error) {
	do := map[string]func(string) (map[string]string, error){
		"install": s.c.InstallKey, "use": s.c.UseKey, "remove": s.c.RemoveKey,
	}[verb]
	if do == nil {
		keys, nodes, messages, err := s.c.ListKeys()
		return keyText(messages, keys, nodes), plain(err)
	}
	messages, err := do(key)
	return keyText(messages, nil, 0), plain(err)
}

func (s *stockTalker) coordinate(node string) (string, error) {
	c, err := s.c.GetCoordinate(node)
	if c == nil {
		return "none", plain(err)
	}
	return fmt.Sprintf("%d dimensions, height above zero: %v", len(c.Vec), c.Height > 0), plain(err)
}

func (s *stockTalker) stats() (map[string]map[string]string, error) {
	stats, err := s.c.Stats()
	return maps.Clone(stats), plain(err)
}

func (s *stockTalker) leave() error { return plain(s.c.Leave()) }
func (s *stockTalker) close()       { s.c.Close() }
