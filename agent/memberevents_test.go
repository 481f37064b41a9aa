package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/config"
	"agentctl/agent/script"
	"agentctl/handler"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// actor is a node that comes, goes and changes its tags, in front of an observer.
type actor struct {
	name, addr string
	*node             // nil while it does not run
	status     string // as the observer has it; "" where it does not know it
	version    int    // of its tags, which each join and each update brings
}

// act does what can be done to the actor in its state, and waits until the observer's
// serf knows of it.
func (a *actor) act(t *testing.T, random *rand.Rand, observer *node) {
	t.Helper()
	switch what := random.IntN(4); {
	case a.node == nil && a.status == "failed" && what == 0: // an operator gives it up
		must(t, observer.ForceLeave(a.name, false))
		a.status = "left"
	case a.node == nil && a.status == "failed" && what == 1: // and forgets it
		must(t, observer.ForceLeave(a.name, true))
		a.status = ""
	case a.node == nil:
		a.version++
		tags := map[string]string{"v": fmt.Sprint(a.version)}
		a.node = start(t, named(a.name), func(o *config.Options) { o.Bind, o.Tags = a.addr, tags })
		if _, err := a.Join([]string{observer.GossipAddr()}, false); err != nil {
			t.Fatal(err)
		}
		a.status = "alive"
	case what < 2:
		a.version++
		must(t, a.UpdateTags(map[string]string{"v": fmt.Sprint(a.version)}, nil))
	case what == 2:
		a.end(nil)
		must(t, a.stopped(t))
		a.node, a.status = nil, "left"
	default:
		a.crash(t)
		a.node, a.status = nil, "failed"
	}
	testkit.WaitFor(t, fmt.Sprintf("%s to be %q", a.name, a.status), func() bool {
		for _, m := range observer.Members() {
			if m.Name == a.name {
				// Serf loses word of a leave now and then: the member has failed then.
				unheard := a.status == "left" && m.Status == serf.StatusFailed
				return (m.Status.String() == a.status || unheard) && m.Tags["v"] == fmt.Sprint(a.version)
			}
		}
		return a.status == ""
	})
}

// logged are the changes of members that a node's serf logs as they happen, by
// member. Serf does not log tags: each join and each update of an actor brings the
// next version.
func logged(n *node, addrs map[string]string) map[string]string {
	changes, versions := map[string]string{}, map[string]int{}
	for _, m := range regexp.MustCompile(`EventMember(\w+)(?: \(forced\))?: ([^\s"]+)`).FindAllStringSubmatch(n.log.String(), -1) {
		typ, name, tags := "member-"+strings.ToLower(m[1]), m[2], map[string]string(nil)
		if name != n.opts.NodeName {
			if typ == "member-join" || typ == "member-update" {
				versions[name]++
			}
			tags = map[string]string{"v": fmt.Sprint(versions[name])}
		}
		changes[name] += typ + " " + string(handler.MemberLine(name, addrs[name], "", tags))
	}
	return changes
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestMemberEventsAreToldTruly has real nodes join, change their tags, leave, fail,
// come back and be forgotten, in orders of chance. A target, a script and a stream of
// another node are told each change of each once, in order, and nothing at its stop.
func TestMemberEventsAreToldTruly(t *testing.T) {
	for seed := range uint64(6) {
		bubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			gw, file := memory.NewGateway(t), filepath.Join(t.TempDir(), "script")
			const types = "member-join,member-leave,member-failed,member-update,member-reap="
			observer := start(t, named("observer"), handlers(types+gw.URL, types+`sed "s/^/$SERF_EVENT /" >>`+file))
			var mu sync.Mutex
			var stream []byte
			add := func(to []byte, typ string, lines []byte) []byte {
				for line := range strings.Lines(string(lines)) {
					to = append(to, typ+" "+line...)
				}
				return to
			}
			observer.intake.Subscribe(func(e serf.Event) {
				if me, ok := e.(serf.MemberEvent); ok {
					mu.Lock()
					defer mu.Unlock()
					stream = add(stream, me.Type.String(), script.MemberLines(me.Members))
				}
			})
			actors, addrs := make([]*actor, 3), map[string]string{}
			addrs["observer"], _, _ = strings.Cut(observer.opts.Bind, ":")
			for i := range actors {
				actors[i] = &actor{name: fmt.Sprint("actor-", i), addr: memory.Addr()}
				addrs[actors[i].name], _, _ = strings.Cut(actors[i].addr, ":")
			}
			const acts = 14
			for range acts {
				actors[random.IntN(len(actors))].act(t, random, observer)
				if random.IntN(3) == 0 {
					time.Sleep(time.Duration(random.Int64N(int64(4 * time.Second))))
				}
			}
			if random.IntN(2) == 0 {
				time.Sleep(10 * time.Second)
			}
			observer.crash(t) // what is gathered goes out
			want := logged(observer, addrs)
			if n := strings.Count(strings.Join(slices.Collect(maps.Values(want)), ""), "\n"); n <= acts {
				t.Fatalf("serf logs %d changes by %d acts and a start", n, acts)
			}
			var target []byte
			for _, p := range gw.Posts() {
				var kong struct{ Entity string }
				must(t, json.Unmarshal([]byte(p.Body), &kong))
				target = add(target, p.Type, []byte(kong.Entity+"\n"))
			}
			ran, err := os.ReadFile(file)
			must(t, err)
			for who, got := range map[string][]byte{"target": target, "script": ran, "stream": stream} {
				if diff := cmp.Diff(want, ofEach(string(got))); diff != "" {
					t.Errorf("seed %d, the %s (-want +got):\n%s", seed, who, diff)
				}
			}
		})
	}
}

// ofEach sorts lines of member events by member.
func ofEach(lines string) map[string]string {
	of := map[string]string{}
	for line := range strings.Lines(lines) {
		_, rest, _ := strings.Cut(line, " ")
		name, _, _ := strings.Cut(rest, "\t")
		of[name] += line
	}
	return of
}
