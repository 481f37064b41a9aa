package cluster

import (
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
)

func (c *mixed) testTags(t *testing.T) {
	// Each node's tags are set with another's program, so in every mix.
	programs := map[string]string{"new": "agentctl", "old": "agentctl", "ours1": "new serf", "ours2": "old serf"}
	for name, program := range programs {
		proc.Output(t, c.programs[program], "tags", "-rpc-addr="+c.nodes[name].RPC, "-set", "zone="+name, "-set", "old=1")
		proc.Output(t, c.programs[program], "tags", "-rpc-addr="+c.nodes[name].RPC, "-delete", "old")
	}
	for _, n := range c.nodes {
		for name := range programs {
			testkit.WaitFor(t, n.Name+" sees the tags of "+name, func() bool {
				tags := proc.MembersAt(t, n)[name].Tags
				return len(tags) == 1 && tags["zone"] == name
			})
		}
	}
	for name, gw := range c.gateways {
		testkit.WaitFor(t, "the gateway of "+name+" is told of the tags", func() bool {
			for _, p := range gw.Taken() {
				if p.Header.Get("X-Serf-Event") == "member-update" && strings.Contains(string(p.Body), "zone=") {
					return true
				}
			}
			return false
		})
	}
}

// testKeys changes the gossip key and back, each step with another program and
// at another node.
func (c *mixed) testKeys(t *testing.T) {
	keys := func(program, at string, args ...string) string {
		t.Helper()
		return proc.Output(t, c.programs[program], append([]string{"keys", "-rpc-addr=" + c.nodes[at].RPC}, args...)...)
	}
	rotate := func(from, to string, programs, at [4]string) {
		t.Helper()
		keys(programs[0], at[0], "-install", to)
		if out := keys(programs[1], at[1], "-list"); strings.Count(out, "[4/4]") != 2 {
			t.Errorf("both keys should be at all four:\n%s", out)
		}
		keys(programs[1], at[1], "-use", to)
		keys(programs[2], at[2], "-remove", from)
		out := keys(programs[3], at[3], "-list")
		if !strings.Contains(out, to) || strings.Contains(out, from) || !strings.Contains(out, "[4/4]") {
			t.Errorf("want only %s, at all four:\n%s", to, out)
		}
	}
	rotate(proc.FirstKey, proc.SecondKey, [4]string{"agentctl", "agentctl", "new serf", "old serf"},
		[4]string{"ours1", "old", "ours2", "new"})
	rotate(proc.SecondKey, proc.FirstKey, [4]string{"old serf", "new serf", "agentctl", "agentctl"},
		[4]string{"old", "ours1", "new", "ours2"})
	// The cluster still holds together.
	gw := c.gateways["ours2"]
	before := len(gw.TakenUser())
	proc.Output(t, c.programs["old serf"], "event", "-coalesce=false", "-rpc-addr="+c.nodes["old"].RPC, "kong", "new key")
	testkit.WaitFor(t, "an event comes through after the change of keys", func() bool { return len(gw.TakenUser()) == before+1 })
}

// testForceLeave ends a node of each kind without a word, and has a node of
// the other kind declare it gone.
func (c *mixed) testForceLeave(t *testing.T) {
	for i, step := range []struct{ victim, program, at string }{
		{"ours2", "old serf", "old"},
		{"old", "agentctl", "ours1"},
	} {
		if i > 0 && !testkit.Long() { // it takes serf a while to see that a member has failed
			break
		}
		c.nodes[step.victim].Kill()
		delete(c.nodes, step.victim)
		c.become(t, step.victim, "failed")
		c.told(t, "member-failed", step.victim)
		proc.Output(t, c.programs[step.program], "force-leave", "-rpc-addr="+c.nodes[step.at].RPC, step.victim)
		c.become(t, step.victim, "left")
		c.told(t, "member-leave", step.victim)
	}
}

// testLeave has the last two nodes leave, each told by the other kind's program.
func (c *mixed) testLeave(t *testing.T) {
	for _, step := range []struct{ name, program string }{
		{"new", "agentctl"},
		{"ours1", "new serf"},
	} {
		n := c.nodes[step.name]
		out := proc.Output(t, c.programs[step.program], "leave", "-rpc-addr="+n.RPC)
		if !strings.Contains(out, "Graceful leave complete") {
			t.Errorf("%s: leave at %s printed %q", step.program, step.name, out)
		}
		code, err := n.Exit()
		if err != nil || code != 0 {
			t.Errorf("%s ended with status %d, %v, want 0", step.name, code, err)
		}
		delete(c.nodes, step.name)
		c.become(t, step.name, "left") // to those that are left, if any
	}
	c.told(t, "member-leave", "new")
}

// told waits until the gateway of ours1 has been told of a member event.
func (c *mixed) told(t *testing.T, event, name string) {
	t.Helper()
	testkit.WaitFor(t, "the gateway of ours1 is told: "+event+" "+name, func() bool {
		for _, p := range c.gateways["ours1"].Taken() {
			if p.Header.Get("X-Serf-Event") == event && strings.Contains(string(p.Body), name+`\t127.0.0.1`) {
				return true
			}
		}
		return false
	})
}
