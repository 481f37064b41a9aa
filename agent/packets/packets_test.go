package packets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/serfnode"
)

// rig is a Watch that runs, among members of which some do not answer pings.
type rig struct {
	*Watch
	log *testkit.LogBuffer

	mu      sync.Mutex
	members map[string]serf.MemberStatus
	deaf    map[string]bool
	pings   map[string]int
}

func newRig(t *testing.T, names ...string) *rig {
	r := &rig{members: map[string]serf.MemberStatus{"self": serf.StatusAlive}, deaf: map[string]bool{}, pings: map[string]int{}}
	for _, name := range names {
		r.members[name] = serf.StatusAlive
	}
	logger, log := testkit.NewLog()
	r.log = log
	r.Watch = New(Config{Self: "self", Logger: logger, Members: r.list, Ping: r.answer})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		defer time.Sleep(time.Minute) // pings that are under way
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) list() (members []serf.Member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, status := range r.members {
		members = append(members, serfnode.Member(name, "10.0.0.1:7946", status))
	}
	return members
}

func (r *rig) answer(name string, addr net.Addr) (time.Duration, error) {
	r.mu.Lock()
	r.pings[name]++
	deaf := r.deaf[name]
	r.mu.Unlock()
	if addr.String() != "10.0.0.1:7946" {
		return 0, fmt.Errorf("a ping to %v", addr)
	}
	if deaf {
		time.Sleep(3 * time.Second) // as in memberlist's profile for wide networks
		return 0, errors.New("no answer")
	}
	return time.Millisecond, nil
}

func (r *rig) close(closed bool, names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		r.deaf[name] = closed
	}
}

func (r *rig) pinged(name string) int {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pings[name]
}

const warned = "UDP port 7946 of b seems closed, or that of this node, while TCP is open: open it, for example with -p 7946:7946/udp"

// A port that is closed is named while it is, once a minute in the log.
func TestAClosedPortIsNamedWhileItIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b")
		r.close(true, "b")
		for range 600 { // twenty minutes of memberlist's probes
			r.Suspect("b")
			time.Sleep(2 * time.Second)
		}
		if got := r.Warnings(); !slices.Equal(got, []string{warned}) {
			t.Errorf("warns of %q", got)
		}
		if n := r.log.Count("UDP port 7946 of b"); n < 19 || n > 20 {
			t.Errorf("%d warnings in twenty minutes, want one a minute", n)
		}
		if n := r.pinged("b"); n > 610 {
			t.Errorf("%d pings in twenty minutes, want one each 2 s", n)
		}
		r.close(false, "b")
		time.Sleep(interval + answerTime)
		if got := r.Warnings(); got != nil {
			t.Errorf("warns of %q, though it is open", got)
		}
		if n := r.log.Count("UDP is closed to no member any more"); n != 1 {
			t.Errorf("the end is logged %d times", n)
		}
		before := r.pinged("b")
		time.Sleep(time.Hour)
		if n, a := r.pinged("b")-before, r.pinged("a"); n == 0 || a == 0 || n+a > int((time.Hour+20*time.Minute)/(checkEvery*interval))+1 {
			t.Errorf("%d and %d pings while all is well, want one each 10 s", n, a)
		}
	})
}

// Where packets to one member are lost, and others reach it, memberlist says nothing.
func TestAPortThatIsClosedToThisNodeAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b", "c", "d")
		r.close(true, "b")
		for range 120 { // links go on
			time.Sleep(time.Second)
			r.Connected("b")
		}
		if got := r.Warnings(); !slices.Equal(got, []string{warned}) {
			t.Errorf("warns of %q after two minutes", got)
		}
	})
}

// Only a member to which a stream got through can have a closed port: others hang, or
// have ended and are not found to have failed yet.
func TestMembersThatAreNotNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		closed, suspected, ends, opens bool
	}{
		"memberlist lost its packets by chance": {suspected: true},
		"some pings were lost, too":             {closed: true, suspected: true, opens: true},
		"it hangs":                              {closed: true},
		"it failed":                             {closed: true, suspected: true, ends: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "b")
				r.close(tt.closed, "b")
				if tt.suspected {
					r.Suspect("b")
				} else if r.Pass(t.Context(), "b") {
					t.Error("packets pass to a member that hangs")
				}
				if tt.ends {
					time.Sleep(interval)
					r.mu.Lock()
					r.members["b"] = serf.StatusFailed
					r.mu.Unlock()
				}
				for i := range 100 {
					time.Sleep(time.Second)
					if tt.opens && i == 3*int(interval/time.Second) {
						r.close(false, "b")
					}
					if got := r.Warnings(); got != nil {
						t.Fatalf("warns of %q", got)
					}
				}
				if n := r.log.Count("UDP"); n != 0 {
					t.Errorf("%d lines about UDP", n)
				}
			})
		})
	}
}

func TestPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "a", "b")
		r.close(true, "b")
		begun := time.Now()
		if !r.Pass(t.Context(), "a") || !r.Pass(t.Context(), "stranger") || !r.Pass(t.Context(), "self") || time.Since(begun) != 0 {
			t.Error("packets do not pass to those that answer, or are no members")
		}
		if r.Pass(t.Context(), "b") || time.Since(begun) > 2*time.Second {
			t.Errorf("packets pass to a closed port, or it took %v", time.Since(begun))
		}
		begun = time.Now()
		if r.Pass(t.Context(), "b") || time.Since(begun) != 0 {
			t.Error("a port that is known to be closed is pinged again")
		}
		r.Connected("b")
		time.Sleep(closed * interval)
		if got := r.Warnings(); !slices.Equal(got, []string{warned}) {
			t.Errorf("warns of %q", got)
		}
		r.close(false, "b")
		time.Sleep(2 * interval)
		if !r.Pass(t.Context(), "b") {
			t.Error("packets do not pass to an open port")
		}
	})
}

// What is done and kept does not grow with strangers' words or the cluster.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var names []string
		for i := range 300 {
			names = append(names, fmt.Sprintf("m%03d", i))
		}
		r := newRig(t, names...)
		r.close(true, names...)
		for i := range 10_000 {
			r.Suspect(fmt.Sprint("stranger", i))
			r.Suspect(names[i%len(names)])
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Hour)
		sent := func() (n int) {
			for _, name := range names {
				n += r.pinged(name)
			}
			return n
		}
		before := sent()
		time.Sleep(time.Minute)
		if n := sent() - before; n > atOnce*int(time.Minute/interval+1) {
			t.Errorf("%d pings in a minute", n)
		}
		if n := len(r.silent); n > len(names) {
			t.Errorf("%d members are kept, of %d", n, len(names))
		}
		got := strings.Join(r.Warnings(), "\n")
		if len(got) > 400 || !strings.Contains(got, " more seems closed") {
			t.Errorf("warns of %q", got)
		}
	})
}

func TestWarning(t *testing.T) {
	for _, tt := range []struct {
		ports map[string]uint16
		want  string
	}{
		{map[string]uint16{"b": 7946}, "7946 of b seems"},
		{map[string]uint16{"b": 7946, "a": 7946}, "7946 of a, b seems"},
		{map[string]uint16{"a": 7946, "b": 7950}, "7946 of a, 7950 of b seems"},
		{map[string]uint16{"d": 1, "c": 7946, "b": 7946, "a": 7946, "e": 1}, "7946 of a, b, c, 2 more seems"},
	} {
		if got := warning(tt.ports); !strings.HasPrefix(got, "UDP port "+tt.want+" closed") {
			t.Errorf("%v: %s", tt.ports, got)
		}
	}
}
