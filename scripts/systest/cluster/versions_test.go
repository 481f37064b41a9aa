package cluster

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/loopback"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
	"agentctl/scripts/testkit/stub"
)

// asSerf returns a path by which the program behaves as serf, as Kong's serf_path
// has it.
func asSerf(t *testing.T) string {
	t.Helper()
	program, err := exec.LookPath("agentctl")
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "serf")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// kongSerf is an agent, stock or ours, as a Kong has it.
type kongSerf struct {
	*proc.Node
	program string
	file    string // of the payloads that its event script got
}

// newKongSerf starts an agent at free ports, see kongSerfAt.
func newKongSerf(t *testing.T, name, program string, more ...string) *kongSerf {
	t.Helper()
	return kongSerfAt(t, loopback.Port(), loopback.Port(), name, program, more...)
}

// kongSerfAt starts an agent with the flags that Kong gives it, and more. Its event
// script writes down what it gets.
func kongSerfAt(t *testing.T, gossipPort, rpcPort, name, program string, more ...string) *kongSerf {
	t.Helper()
	dir := t.TempDir()
	k := &kongSerf{program: program, file: filepath.Join(dir, "events")}
	script := filepath.Join(dir, "serf_event.sh")
	err := os.WriteFile(script, []byte("#!/bin/sh\n[ $SERF_EVENT = user ] || exit 0\n"+
		`echo "$(base64 | tr -d '\n')" >> `+k.file+"\n"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	k.Node = &proc.Node{Gossip: "127.0.0.1:" + gossipPort, RPC: "127.0.0.1:" + rpcPort}
	args := []string{"agent", "-profile", "wan", "-bind", "0.0.0.0:" + gossipPort, "-log-level", "err", "-rpc-addr", k.RPC,
		"-event-handler", "member-join,member-leave,member-failed,member-update,member-reap,user:kong=" + script,
		"-node", fmt.Sprintf("%s_0.0.0.0:%s_%x", name, gossipPort, rand.Uint64()), "-advertise", k.Gossip}
	if k.Process, err = proc.Start(dir, name, os.Environ(), program, append(args, more...)...); err != nil {
		t.Fatal(err)
	}
	proc.KillAtEnd(t, k.Process)
	if err := k.Answers(); err != nil {
		t.Fatalf("%v; it printed:\n%s", err, k.Printed())
	}
	return k
}

// publish does what Kong does.
func (k *kongSerf) publish(t *testing.T, payload string) {
	t.Helper()
	out := proc.Output(t, k.program, "event", "-coalesce=false", "-rpc-addr="+k.RPC, "kong", payload)
	// Under its own name our command also prints the ID.
	if want := "Event 'kong' dispatched! Coalescing enabled: false\n"; out != want && !(k.program == "agentctl" && strings.HasPrefix(out, want+"ID: ")) {
		t.Errorf("%s: serf event printed %q, want %q", k.Name, out, want)
	}
}

// syncPatience is how long an event or a member may take. Stock serf's gossip loses
// packets on a busy machine. Then a full sync brings the event: on wan each minute, with
// any member. And a member that was taken for failed is dialled again each half minute.
const syncPatience = 4 * time.Minute

// sees waits until an agent has so many members, all alive, and has its own program
// show them.
func (k *kongSerf) sees(t *testing.T, members int) {
	t.Helper()
	var last map[string]proc.Member
	if !testkit.PollFor(syncPatience, func() bool {
		last = proc.MembersAt(t, k.Node)
		for _, m := range last {
			if m.Status != "alive" {
				return false
			}
		}
		return len(last) == members
	}) {
		t.Fatalf("%s does not see %d members alive, but %v", k.Name, members, last)
	}
	if shown := proc.Members(t, k.program, k.Node); len(shown) != members {
		t.Errorf("%s shows %v, and has %v", k.Name, shown, last)
	}
}

// wantEvents waits for the events at a node, and checks that it got each once.
func wantEvents(t *testing.T, where string, got func() []string, want []string) {
	t.Helper()
	want = slices.Sorted(slices.Values(want))
	testkit.PollFor(syncPatience, func() bool { return len(got()) >= len(want) })
	if have := slices.Sorted(slices.Values(got())); !slices.Equal(have, want) {
		t.Errorf("%s got %d events, want %d:\n%.100q\nwant\n%.100q", where, len(have), len(want), have, want)
	}
}

// kongPayload is an event of Kong's with a place for its number. With its name it has
// size bytes.
func kongPayload(from string, i, size int) string {
	text := fmt.Sprintf(`{"type":"ENTITY_UPDATED","collection":"apis","primary_key":["id"],"entity":{"id":"%s-%d","name":"`, from, i)
	const end, name = `"}}`, "kong"
	return text + strings.Repeat("x", max(0, size-len(name)-len(text)-len(end))) + end
}

// TestEveryVersion has an agent of ours, called as Kong calls serf, join each release
// of stock serf and be joined by it, once of both encrypted. Events go both ways.
func TestEveryVersion(t *testing.T) {
	rounds := testkit.Setting(t, "AGENTCTL_TEST_VERSION_ROUNDS", 1, 10)
	events := testkit.Setting(t, "AGENTCTL_TEST_VERSION_EVENTS", 2, 10) // of each of the two
	ours := asSerf(t)
	var mu sync.Mutex
	passed := map[string]int{}
	t.Run("pairs", func(t *testing.T) {
		for _, version := range stock.Versions {
			theirs := stock.Serf(t, version)
			for _, how := range []struct {
				name     string
				encrypt  bool
				theyJoin bool
				long     bool
			}{
				{"ours joins it", false, false, false},
				{"it joins ours", false, true, true},
				{"ours joins it, encrypted", true, false, true},
				{"it joins ours, encrypted", true, true, false},
			} {
				if how.long && !testkit.Long() {
					continue
				}
				name := version + ", " + how.name
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					for range rounds {
						joinAndTalk(t, ours, theirs, how.encrypt, how.theyJoin, events)
						if t.Failed() {
							return
						}
						mu.Lock()
						passed[name]++
						mu.Unlock()
					}
				})
			}
		}
	})
	for _, name := range slices.Sorted(maps.Keys(passed)) {
		t.Logf("SUMMARY %s: %d of %d, with %d events each way", name, passed[name], rounds, events)
	}
}

// joinAndTalk starts a stock agent and one of ours, has one join the other, and has
// each publish events, which both have to get once.
func joinAndTalk(t *testing.T, ours, theirs string, encrypt, theyJoin bool, events int) {
	var flags []string
	if encrypt {
		flags = []string{"-encrypt", proc.FirstKey}
	}
	us, them := newKongSerf(t, "ours", ours, flags...), newKongSerf(t, "stock", theirs, flags...)
	defer them.End(t)
	defer us.End(t)
	joiner, joined := us, them
	if theyJoin {
		joiner, joined = them, us
	}
	out := proc.Output(t, joiner.program, "join", "-rpc-addr="+joiner.RPC, joined.Gossip)
	if want := "Successfully joined cluster by contacting 1 nodes.\n"; out != want {
		t.Fatalf("serf join printed %q, want %q", out, want)
	}
	us.sees(t, 2)
	them.sees(t, 2)
	var want []string
	for i := range events {
		want = append(want, kongPayload("stock", i, 0), kongPayload("ours", i, 512)) // today's stock serf takes no 512
		them.publish(t, want[2*i])
		us.publish(t, want[2*i+1])
	}
	for _, k := range []*kongSerf{us, them} {
		wantEvents(t, k.Name, func() []string { return proc.Logged(t, k.file) }, want)
	}
}

// TestAllVersionsInOneCluster has two agents of ours and every release of stock serf
// in one cluster, in which each node publishes.
func TestAllVersionsInOneCluster(t *testing.T) {
	gw, err := stub.NewGateway()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	first := newKongSerf(t, "ours", asSerf(t), "-encrypt", proc.FirstKey)
	nodes := []*kongSerf{first}
	for _, version := range stock.Versions {
		// Stock serf announces 5 by default from v0.8.1 on, and v0.7.0 refuses that.
		nodes = append(nodes, newKongSerf(t, version, stock.Serf(t, version), "-encrypt", proc.FirstKey, "-protocol", "4", "-join", first.Gossip))
	}
	posting := &kongSerf{program: "agentctl", Node: proc.NewAgent(t, "posting", "-encrypt="+proc.FirstKey, "-profile=wan",
		"-gateway="+gw.URL(), "-join="+nodes[len(nodes)-1].Gossip)}
	nodes = append(nodes, posting)
	for _, k := range nodes {
		k.sees(t, len(nodes))
	}
	var want []string
	for i := range 2 {
		for _, k := range nodes {
			want = append(want, kongPayload(k.Name, i, 0))
			k.publish(t, want[len(want)-1])
		}
	}
	for _, k := range nodes {
		if k == posting {
			wantEvents(t, "the gateway", func() []string { return stub.Bodies(gw.TakenUser()) }, want)
			continue
		}
		wantEvents(t, k.Name, func() []string { return proc.Logged(t, k.file) }, want)
	}
}
