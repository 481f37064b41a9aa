package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"

	"agentctl/agent/link"
	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/serfnode"
)

// asking is a question of peers, as its query was given it.
type asking struct {
	after time.Duration
	names []string // nil: all
}

func member(name string, status serf.MemberStatus) serf.Member {
	return serfnode.Member(name, "10.0.0.1:7946", status)
}

// membersNamed lists members that have these names.
func membersNamed(names ...string) func() []serf.Member {
	return func() (members []serf.Member) {
		for _, name := range names {
			members = append(members, member(name, serf.StatusAlive))
		}
		return members
	}
}

// askingPeers is a peers whose questions nobody answers, and that runs, among
// members of these names; asked are its questions so far.
func askingPeers(t *testing.T, members ...string) (p *Peers, asked func() []asking) {
	return listingPeers(t, nil, members...)
}

// listingPeers is askingPeers with lists of agents.
func listingPeers(t *testing.T, list func(context.Context, string, []byte) ([]byte, error), members ...string) (p *Peers, asked func() []asking) {
	began := time.Now()
	var mu sync.Mutex
	var got []asking
	logger, _ := testkit.NewLog()
	says := func(context.Context, link.Peer) (bool, error) { return true, nil }
	p = New(Config{Self: "self", Members: membersNamed(members...), Links: true, Logger: logger, Shake: says, Ask: list, Query: func(name string, payload []byte, q *serf.QueryParam) (*serf.QueryResponse, error) {
		if name != QueryName {
			t.Errorf("asks %q", name)
		}
		var names []string
		if len(payload) > 0 {
			names = strings.Split(string(payload), nameEnd)
		}
		slices.Sort(names)
		mu.Lock()
		defer mu.Unlock()
		got = append(got, asking{time.Since(began), names})
		return nil, errors.New("nobody is there")
	}})
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p, func() []asking {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(got)
	}
}

// A stock member is asked again, after pauses that double up to a limit, and
// only while something is sent.
func TestStockMembersAreAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "stock")
		time.Sleep(time.Hour)
		if got := asked(); len(got) != 0 {
			t.Errorf("asks %v, though nothing is sent", got)
		}
		for range 3 * 3600 { // three hours of an event a second
			if p.Is("stock") {
				t.Fatal("a member that has not answered is a peer")
			}
			time.Sleep(time.Second)
		}
		got := asked()
		pause, last := askAgain, got[0].after
		for _, a := range got[1:] {
			if d := a.after - last; d < pause || d > pause+time.Second {
				t.Errorf("asked again after %v, want %v", d, pause)
			}
			if !slices.Equal(a.names, []string{"stock"}) {
				t.Errorf("asked %q", a.names)
			}
			pause, last = min(2*pause, askSeldom), a.after
		}
		if pause != askSeldom || len(got) < 15 {
			t.Errorf("asked %d times, the last pause was %v", len(got), pause)
		}
		time.Sleep(24 * time.Hour)
		if more := len(asked()) - len(got); more != 0 {
			t.Errorf("asked %d times while nothing was sent", more)
		}
	})
}

// Few are asked by name, so that the rest of a large cluster need not answer;
// many, or ones whose names are too long for a query, by asking all.
func TestPeersAreAskedByNameWhereThatFits(t *testing.T) {
	names := func(n, long int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprintf("%0*d", long, i))
		}
		return out
	}
	for name, tt := range map[string]struct {
		names  []string
		byName bool
	}{
		"one":         {names(1, 4), true},
		"eight":       {names(8, 63), true},
		"nine":        {names(9, 4), false},
		"eight long":  {names(8, 128), false},
		"a long name": {names(1, 128), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, asked := askingPeers(t, tt.names...)
				p.Look(tt.names)
				want := []asking{{}}
				if tt.byName {
					want[0].names = tt.names
				}
				if diff := cmp.Diff(want, asked(), cmp.AllowUnexported(asking{})); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// Who has gone may come back as something else: it is asked at once. What a
// question costs is bounded by those that are there.
func TestAMemberThatIsForgottenIsAskedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "a", "b")
		p.Found("a")
		if !p.Is("a") || len(asked()) != 0 {
			t.Errorf("a peer is asked: %v", asked())
		}
		p.Forget("a")
		if p.Is("a") {
			t.Error("a forgotten member is a peer")
		}
		if got := asked(); len(got) != 1 {
			t.Errorf("asked %v", got)
		}
		p.Forget("a")
		p.Is("b")
		if got := asked(); len(got) != 2 || !slices.Equal(got[1].names, []string{"b"}) {
			t.Errorf("asked %v", got)
		}
	})
}

// peersRig is a serf node that is, as far as questions go, an agent of ours
// with links, or without where its name says so, or a stock one.
type peersRig struct {
	*Peers
	node    *serfnode.Node
	queries []string // queries of its events that were not ours
	taken   int      // those that were
	asked   atomic.Int64
}

func newPeersRig(t *testing.T, transport *memnet.Transport, name string) *peersRig {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	t.Cleanup(func() { // once the node has ended
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	events := make(chan serf.Event)
	r := new(peersRig)
	r.node = serfnode.New(t, transport, name, func(conf *serf.Config) { conf.EventCh = events })
	logger, _ := testkit.NewLog()
	r.Peers = New(Config{
		Self: name, Members: r.node.Members, Links: !strings.HasSuffix(name, "unlinked"), Logger: logger,
		Query: func(name string, payload []byte, q *serf.QueryParam) (*serf.QueryResponse, error) {
			r.asked.Add(1)
			return r.node.Query(name, payload, q)
		},
		Shake: func(_ context.Context, m link.Peer) (bool, error) {
			return strings.HasPrefix(m.Name, "ours") && !strings.HasSuffix(m.Name, "unlinked"), nil
		},
	})
	go func() { done <- r.Run(ctx) }()
	go func() {
		for {
			select {
			case e := <-events:
				q, ok := e.(*serf.Query)
				switch {
				case !ok:
				case strings.HasPrefix(name, "ours") && r.Take(q):
					r.taken++
				default:
					r.queries = append(r.queries, q.Name)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return r
}

func TestPeersAreFoundAmongStockMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// After they have ended: probes that are under way.
		t.Cleanup(func() { time.Sleep(time.Minute) })
		rigs := map[string]*peersRig{}
		network := memnet.New(memnet.Config{})
		for i, name := range []string{"ours-1", "ours-2", "ours-unasked", "ours-unlinked", "stock-1", "stock-2"} {
			rigs[name] = newPeersRig(t, network.Add(fmt.Sprintf("10.0.0.%d:7946", i+1)), name)
		}
		others := []string{"ours-2", "ours-unlinked", "stock-1", "stock-2"}
		for _, name := range append(others, "ours-unasked") {
			if _, err := rigs[name].node.Join([]string{rigs["ours-1"].node.Addr}, false); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second)
		asks, answers := rigs["ours-1"], rigs["ours-2"]
		for range 600 { // ten minutes of an event a second
			for _, name := range others {
				asks.Is(name)
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		for _, name := range others {
			if got, want := asks.Is(name), name == "ours-2"; got != want {
				t.Errorf("%s is a peer: %v, want %v", name, got, want)
			}
		}
		if !answers.Is("ours-1") || answers.asked.Load() != 0 {
			t.Errorf("who was asked knows who asked it: %v, and asked %d times itself", answers.Is("ours-1"), answers.asked.Load())
		}
		// Who is not named sees who asks all the same, and does not answer.
		if seer := rigs["ours-unasked"]; !seer.Knows("ours-1") || asks.Knows("ours-unasked") {
			t.Error("a question is not seen by all, or answered by who was not asked")
		}
		// At 0, 10, 30, 70, 150, 310 seconds, and the next after ten minutes.
		if asks.asked.Load() != 6 {
			t.Errorf("asked %d times, want 6", asks.asked.Load())
		}
		for name, r := range rigs {
			for _, q := range r.queries {
				if !strings.HasPrefix(name, "stock") || q != QueryName {
					t.Errorf("%s handles the query %s as any other", name, q)
				}
			}
		}
	})
}

// Who can send a query chooses the names in it and in its answers: nothing is kept
// of a name that no member has, nor does each one cost a look at all members.
func TestNothingIsKeptOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		members := []serf.Member{
			member("member", serf.StatusAlive), member("failed", serf.StatusFailed),
			member("left", serf.StatusLeft), member("leaving", serf.StatusLeaving),
		}
		lists := 0
		var found []string
		p := New(Config{
			Self: "self", Members: func() []serf.Member { lists++; return members }, Links: true, Logger: logger,
			OnFound: func(name string) { found = append(found, name) },
		})
		for i := range 100_000 {
			p.Found(fmt.Sprint("stranger ", i))
		}
		if len(p.known) != 0 || len(found) != 0 || lists != 1 {
			t.Errorf("%d strangers are kept, %d were found to be peers; the members were listed %d times", len(p.known), len(found), lists)
		}
		for _, m := range members {
			p.Found(m.Name)
		}
		if want := []string{"member", "failed"}; !slices.Equal(found, want) || len(p.known) != len(want) {
			t.Errorf("%d were found to be peers, the last is %q, and %d are kept; want %q", len(found), found[len(found)-1:], len(p.known), want)
		}

		members = append(members, member("new", serf.StatusAlive), member("newer", serf.StatusAlive))
		p.Look([]string{"new", "stranger"}) // a caller that has the name from serf
		if p.known["new"] == nil || p.known["stranger"] != nil || p.Knows("new") {
			t.Error("a new member is not looked for, or a stranger is")
		}
		members[0].Status = serf.StatusLeft // and nobody told peers
		time.Sleep(membersAge)
		p.Found("stranger")
		p.Found("newer")
		if p.known["member"] != nil || !p.Knows("failed") || !p.Knows("newer") || len(p.known) != 3 {
			t.Errorf("%d are kept: one that has left is still there, or one that has not is gone", len(p.known))
		}
	})
}

// The same with queries that come by gossip.
func TestQueriesOfStrangersLeaveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // see TestPeersAreFoundAmongStockMembers
		r := newPeersRig(t, memnet.New(memnet.Config{}).Add("10.0.0.1:7946"), "ours")
		const strangers = 1000
		for i := range strangers {
			raw := bytes.NewBuffer([]byte{4}) // serf's messageQueryType
			err := codec.NewEncoder(raw, &codec.MsgpackHandle{}).Encode(struct {
				LTime      serf.LamportTime
				ID         uint32
				SourceNode string
				Timeout    time.Duration
				Name       string
				Payload    []byte
			}{serf.LamportTime(i + 1), uint32(i), fmt.Sprint("stranger ", i), time.Minute, QueryName, []byte("nobody")})
			if err != nil {
				t.Fatal(err)
			}
			r.node.Delegate.NotifyMsg(raw.Bytes())
		}
		time.Sleep(time.Second)
		synctest.Wait()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.taken != strangers || len(r.known) != 0 {
			t.Errorf("of %d queries of strangers %d came, and %d names are kept", strangers, r.taken, len(r.known))
		}
	})
}

// A flood of questions makes nothing wait.
func TestQuestionsAreTakenWithoutWaiting(t *testing.T) {
	logger, _ := testkit.NewLog()
	p := New(Config{Self: "self", Members: membersNamed(), Links: true, Logger: logger})
	for range 2 * mostAnswers { // nothing runs that answers
		if !p.Take(&serf.Query{Name: QueryName}) {
			t.Fatal("a question of a peer is not taken")
		}
	}
	if p.Take(&serf.Query{Name: "whoami"}) {
		t.Error("a query of others is taken")
	}
}

// Whoever waits for a member to say what it is waits two seconds at most, from
// when it was asked first.
func TestMembersThatMayAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "stock")
		may := func(name string) bool { return p.MayAnswer(name, time.Now()) }
		if !may("stock") {
			t.Error("one that was not asked does not answer")
		}
		p.Is("stock")
		if len(asked()) != 1 || !may("stock") {
			t.Error("one that is asked now does not answer")
		}
		time.Sleep(Silence)
		if may("stock") {
			t.Error("it is still waited for")
		}
		time.Sleep(askSeldom)
		p.Is("stock")
		if len(asked()) != 2 || may("stock") {
			t.Error("it is waited for again, though it never answered")
		}
		p.Found("stock")
		if may("stock") || !p.Is("stock") {
			t.Error("a peer is waited for")
		}
	})
}

// Who was asked once is asked again at once, and then not for a while.
func TestAMemberIsAskedASecondTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, asked := askingPeers(t, "a")
		p.Look([]string{"a"})
		synctest.Wait()
		time.Sleep(Silence)
		if p.MayAnswer("a", time.Now()) {
			t.Error("it may answer still")
		}
		if !p.Again("a") {
			t.Error("it is not asked a second time")
		}
		if got := asked(); len(got) != 2 || !p.MayAnswer("a", time.Now()) {
			t.Errorf("asked %v", got)
		}
		time.Sleep(Silence)
		if p.Again("a") || p.MayAnswer("a", time.Now()) {
			t.Error("it is asked a third time")
		}
		time.Sleep(askAgain)
		if !p.Again("a") {
			t.Error("it is not asked after a while")
		}
		p.Found("a")
		if p.Again("a") || p.Again("nobody") {
			t.Error("a peer, or one that was never asked, is asked again")
		}
	})
}

// A member is where serf has it, in whatever form the address is written.
func TestMembersAreAtTheirHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		members := []serf.Member{
			member("v4", serf.StatusAlive), serfnode.Member("v6", "[fe80::1]:7946", serf.StatusAlive), member("left", serf.StatusLeft),
		}
		p := New(Config{Self: "self", Members: func() []serf.Member { return members }, Logger: logger})
		for _, tt := range []struct {
			name, host string
			want       bool
		}{
			{"v4", "10.0.0.1", true}, {"v4", "::ffff:10.0.0.1", true}, {"v4", "10.0.0.2", false}, {"v4", "", false}, {"v4", "pipe", false},
			{"v6", "fe80::1%eth0", true}, {"v6", "fe80::2", false}, {"left", "10.0.0.1", false}, {"stranger", "10.0.0.1", false},
		} {
			if got := p.At(tt.name, tt.host); got != tt.want {
				t.Errorf("%q is at %q: %v, want %v", tt.name, tt.host, got, tt.want)
			}
		}
		members = append(members, member("new", serf.StatusAlive))
		time.Sleep(membersAge)
		if !p.At("new", "10.0.0.1") {
			t.Error("a new member is not at its host")
		}
	})
}
