package cluster

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

const (
	pairKey      = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s="
	pairOtherKey = "5K9OtfP7efFrNKe5WCQvXvnaXJ5cWP0SvXiwe0kkjM4="
	pairAuth     = "the RPC key"
)

// pairing is one kind of client and one kind of agent, of which there are two
// in a cluster: the client talks to one, and is told of things at two.
type pairing struct {
	*testing.T
	stock        bool // the agents
	one, two     *proc.Node
	dial         func(addr, key string) (talker, error)
	talk, listen talker // to one and to two
	next         func() heard
	stop         func() error
	said         []string // the results so far
}

// say notes results.
func (p *pairing) say(results ...any) {
	text := fmt.Sprintln(results...)
	for n, name := range []*proc.Node{p.one, p.two} {
		text = strings.ReplaceAll(text, name.Gossip, []string{"ONE", "TWO"}[n])
		_, port, _ := strings.Cut(name.Gossip, ":")
		text = strings.ReplaceAll(text, "127.0.0.1 "+port, []string{"ONE", "TWO"}[n])
	}
	p.said = append(p.said, strings.TrimSpace(text))
}

// hear notes the next record of the stream that ok holds for.
func (p *pairing) hear(ok func(heard) bool) heard {
	p.Helper()
	for {
		h := p.next()
		if !ok(h) {
			continue
		}
		id := h.id
		h.id = 0
		p.say(fmt.Sprintf("%+v", h))
		h.id = id
		return h
	}
}

// ask makes a query. At its deadline a stock agent may send records from nobody,
// any number of them, since it reads from closed channels; ours never does.
func (p *pairing) ask(q wire.QueryRequest) ([]string, error) {
	answers, err := p.talk.query(q)
	if p.stock {
		answers = slices.DeleteFunc(answers, func(s string) bool { return strings.Contains(s, " from : ") })
	}
	return answers, err
}

// of is the records of an event that name the member one. Which others an
// agent puts into the same record is a matter of time.
func of(event string) func(heard) bool {
	return func(h heard) bool { return h.event == event && slices.Contains(h.members, "one alive") }
}

// conversations are had in this order by each pairing, and what is said must be
// the same in all four but where the agents differ on purpose.
var conversations = []struct {
	name   string
	differ string // why our agent's answer is not stock serf's
	have   func(p *pairing)
}{
	{name: "auth", have: func(p *pairing) {
		_, err := p.dial(p.one.RPC, "a wrong key")
		p.say("wrong key:", err)
		// Each on its own connection, since a stock agent answers a body, too; and
		// no stream: the stock client takes that answer for a record of it.
		for _, ask := range []func(c talker) error{
			func(c talker) error { return c.event("x", "y", false) },
			func(c talker) error { _, err := c.members(); return err },
			func(c talker) error { _, err := c.key("list", ""); return err },
		} {
			c, err := p.dial(p.one.RPC, "")
			if err != nil {
				p.Fatal(err)
			}
			p.say("no key:", ask(c))
			c.close()
		}
	}},
	{name: "stream", have: func(p *pairing) {
		var err error
		_, _, err = p.listen.stream("nonsense")
		p.say("bad filter:", err)
		if p.next, p.stop, err = p.listen.stream("member-join,member-update,user:pair,query:ask"); err != nil {
			p.Fatal(err)
		}
	}},
	{name: "join", have: func(p *pairing) {
		p.say(p.talk.join("127.0.0.1:1"))
		p.say(p.talk.join(p.two.Gossip))
		h := p.next()
		for !of("member-join")(h) {
			h = p.next()
		}
		p.say("a", h.event, "of one was heard")
	}},
	{name: "members", have: func(p *pairing) {
		testkit.WaitFor(p.T, "one knows two", func() bool { list, err := p.talk.members(); return err == nil && len(list) == 2 })
		p.say(p.talk.members())
	}},
	{name: "members-filtered", have: func(p *pairing) {
		p.say(p.talk.membersFiltered(map[string]string{"role": "w.b"}, "", ""))
		p.say(p.talk.membersFiltered(nil, "alive", "two"))
		p.say(p.talk.membersFiltered(nil, "", "o.*"))
		p.say(p.talk.membersFiltered(nil, "failed|left", ""))
		p.say(p.talk.membersFiltered(map[string]string{"none": "x"}, "alive", "one"))
	}},
	{name: "bad expression", differ: "stock closes the connection, ours says what is wrong", have: func(p *pairing) {
		c, err := p.dial(p.one.RPC, pairAuth)
		if err != nil {
			p.Fatal(err)
		}
		defer c.close()
		p.say(c.membersFiltered(nil, "", "("))
	}},
	{name: "tags", have: func(p *pairing) {
		p.say(p.talk.tags(map[string]string{"new": "tag", "empty": ""}, []string{"old"}))
		p.hear(func(h heard) bool { return h.event == "member-update" })
		testkit.WaitFor(p.T, "the tags reach two", func() bool {
			list, err := p.listen.membersFiltered(map[string]string{"new": "tag"}, "", "")
			return err == nil && len(list) == 1
		})
		p.say(p.listen.membersFiltered(nil, "", "one"))
		p.say(p.talk.tags(map[string]string{"large": strings.Repeat("x", 600)}, nil))
		p.say(p.talk.membersFiltered(nil, "", "one"))
	}},
	{name: "event", have: func(p *pairing) {
		for _, payload := range []string{"plain", "a\x00b\xff\n", strings.Repeat("x", 400), ""} {
			p.say(p.talk.event("pair", payload, false))
			p.hear(func(h heard) bool { return h.event == "user" })
		}
		p.say(p.talk.event("pair", "gathered", true))
		p.hear(func(h heard) bool { return h.event == "user" })
		p.say(p.talk.event("", "", false))
	}},
	{name: "large event", differ: "our limit counts name and payload, as up to serf 0.8, and the error names the sizes", have: func(p *pairing) {
		p.say(p.talk.event("pair", strings.Repeat("x", 600), false))
	}},
	{name: "query", have: func(p *pairing) {
		type outcome struct {
			answers []string
			err     error
		}
		done := make(chan outcome, 1)
		go func() {
			answers, err := p.ask(wire.QueryRequest{Name: "ask", Payload: []byte("what"), RequestAck: true, Timeout: 10 * time.Second})
			done <- outcome{answers, err}
		}()
		h := p.hear(func(h heard) bool { return h.event == "query" })
		p.say("responding:", p.listen.respond(h.id, "that\x00"))
		p.say("again:", p.listen.respond(h.id, "more"))
		p.say("to nothing:", p.listen.respond(h.id+1000, "x"))
		o := await(p.T, "outcome", done)
		p.say(o.answers, o.err)
		p.say(p.ask(wire.QueryRequest{Name: "ask", FilterNodes: []string{"one"}, Timeout: 200 * time.Millisecond}))
		p.say(p.ask(wire.QueryRequest{Name: "ask", FilterTags: map[string]string{"role": "none"}, RequestAck: true, Timeout: 200 * time.Millisecond}))
		p.say(p.ask(wire.QueryRequest{Name: "_serf_list-keys"}))
		p.say(p.ask(wire.QueryRequest{Name: "large", Payload: make([]byte, 2000)}))
		p.say(p.ask(wire.QueryRequest{Name: "x", FilterTags: map[string]string{"role": "("}}))
	}},
	{name: "stop", have: func(p *pairing) {
		p.say(p.stop())
		p.say(p.talk.event("pair", "for nobody", false))
		p.say(p.listen.members()) // the connection is still good
	}},
	{name: "keys", have: func(p *pairing) {
		p.say(p.talk.key("list", ""))
		for _, step := range [][2]string{
			{"use", pairOtherKey}, {"install", pairOtherKey}, {"install", pairOtherKey}, {"list"}, {"use", pairOtherKey},
			{"remove", pairOtherKey}, {"remove", pairKey}, {"list"}, {"remove", pairKey}, {"install", "nonsense"}, {"use", ""},
		} {
			result, err := p.talk.key(step[0], step[1])
			p.say(step[0], result, err)
		}
	}},
	{name: "get-coordinate", have: func(p *pairing) {
		p.say(p.talk.coordinate("one"))
		p.say(p.talk.coordinate("nobody"))
	}},
	{name: "stats", have: func(p *pairing) {
		stats, err := p.talk.stats()
		p.say(err, stats["agent"]["name"], stats["serf"]["members"], stats["serf"]["encrypted"], stats["tags"], stats["event_handlers"])
		for _, group := range slices.Sorted(maps.Keys(stats)) {
			keys := slices.Sorted(maps.Keys(stats[group]))
			// The one that is ours alone, see the next conversation.
			p.say(group, slices.DeleteFunc(keys, func(k string) bool { return group == "agent" && k == "version" }))
		}
	}},
	{name: "stats of the program", differ: "ours names its version", have: func(p *pairing) {
		stats, err := p.talk.stats()
		_, has := stats["agent"]["version"]
		p.say(has, err)
	}},
	{name: "force-leave and monitor", have: func(p *pairing) {
		p.say(p.talk.forceLeave("nobody", true))
		p.say(p.talk.forceLeave("nobody", false)) // logs a line
		_, _, err := p.talk.monitor("loud")
		p.say(err)
		// The recent lines come, of which that one is the last.
		line, stop, err := p.talk.monitor("info")
		p.say(err)
		if err != nil {
			return
		}
		last := ""
		for found := 0; found < 2; {
			if last = line(); strings.Contains(last, "nobody") || strings.Contains(strings.ToLower(last), "force leaving") {
				found++
			}
		}
		_, rest, _ := strings.Cut(last, "[")
		p.say("a line of level", strings.SplitAfter(rest, "]")[0])
		_, _, err = p.talk.monitor("info")
		p.say("a second monitor:", err)
		p.say(stop())
		p.say(p.talk.members())
	}},
	{name: "leave", have: func(p *pairing) {
		p.say(p.talk.leave())
		status, err := p.one.Exit()
		p.say("the agent ended:", status, err)
		testkit.WaitFor(p.T, "two sees that one has left", func() bool {
			list, err := p.listen.membersFiltered(nil, "left", "one")
			return err == nil && len(list) == 1
		})
		p.say(p.listen.members())
		p.say(p.listen.forceLeave("one", true))
		testkit.WaitFor(p.T, "two has forgotten one", func() bool { list, err := p.listen.members(); return err == nil && len(list) == 1 })
	}},
}

// newPairing starts two agents of a kind.
func newPairing(t *testing.T, client, agent string) *pairing {
	t.Helper()
	config := filepath.Join(t.TempDir(), "auth.json")
	if err := os.WriteFile(config, fmt.Appendf(nil, `{"rpc_auth": %q}`, pairAuth), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(name, role string) *proc.Node {
		args := []string{"-encrypt=" + pairKey, "-config-file=" + config, "-event-handler=user:nobody=true", "-tag=role=" + role, "-tag=old=1",
			"-protocol=4"} // which is not the default of stock serf
		if agent == "stock agent" {
			return proc.NewStock(t, name, stock.V011, args...)
		}
		return proc.NewAgent(t, name, append(args, "-max-event-size=0")...) // as serf, which sends nothing larger than it can
	}
	p := &pairing{T: t, stock: agent == "stock agent", one: start("one", "web"), two: start("two", "db"), dial: func(addr, key string) (talker, error) {
		return talkers[client](t, addr, key)
	}}
	for to, n := range map[*talker]*proc.Node{&p.talk: p.one, &p.listen: p.two} {
		c, err := p.dial(n.RPC, pairAuth)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		*to = c
	}
	return p
}

// testPairings has the same conversations with stock serf's client and ours,
// each with stock serf's agent and ours.
func testPairings(t *testing.T) {
	var mu sync.Mutex
	said := map[string][][]string{} // by pairing and conversation
	t.Run("talk", func(t *testing.T) {
		for client := range talkers {
			for _, agent := range []string{"stock agent", "our agent"} {
				name := client + ", " + agent
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					p := newPairing(t, client, agent)
					var all [][]string
					for _, c := range conversations {
						p.said = nil
						c.have(p)
						all = append(all, p.said)
					}
					mu.Lock()
					defer mu.Unlock()
					said[name] = all
				})
			}
		}
	})
	if len(said) != 4 {
		t.Fatal("a pairing is missing")
	}
	lines := 0
	for i, c := range conversations {
		show := func(pair string) string { return strings.Join(said[pair][i], "\n") }
		const want, other = "stock client, stock agent", "stock client, our agent"
		lines += len(said[want][i])
		if len(said[want][i]) == 0 && c.name != "stream" {
			t.Errorf("%s: nothing was said", c.name)
		}
		if got := show("our client, stock agent"); got != show(want) {
			t.Errorf("%s: with a stock agent our client has\n%s\nand stock serf's\n%s", c.name, got, show(want))
		}
		if got := show("our client, our agent"); got != show(other) {
			t.Errorf("%s: with our agent our client has\n%s\nand stock serf's\n%s", c.name, got, show(other))
		}
		switch same := show(other) == show(want); {
		case !same && c.differ == "":
			t.Errorf("%s: with our agent a stock client has\n%s\nand with a stock agent\n%s", c.name, show(other), show(want))
		case same && c.differ != "":
			t.Errorf("%s: the agents do not differ, though %s:\n%s", c.name, c.differ, show(want))
		case !same:
			t.Logf("on purpose: %s: %s\n   ours:  %.120s\n   stock: %.120s", c.name, c.differ, show(other), show(want))
		}
	}
	t.Logf("%d conversations, %d results each", len(conversations), lines)
}
