package large

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

var anyTime = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// rig is a node with Bodies among members that tests speak for, in a bubble.
// Tests look at it when all is at rest.
type rig struct {
	*Bodies
	mu      sync.Mutex                                       // of what goes on at a time
	members map[string]func(id string) ([]byte, bool, error) // nil: it hangs
	had     map[string]bool
	seen
	end func()
}

// seen is what a test looks at.
type seen struct {
	asked   []string // members
	taken   []string // IDs, in order
	lost    []string // reasons
	waiting int
}

// look is how it stands now.
func (r *rig) look() seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Bodies.mu.Lock()
	defer r.Bodies.mu.Unlock()
	return seen{slices.Clone(r.asked), slices.Clone(r.taken), slices.Clone(r.lost), len(r.Bodies.waiting)}
}

func newRig(t *testing.T, change ...func(*Config)) *rig {
	r := &rig{members: map[string]func(string) ([]byte, bool, error){}, had: map[string]bool{}}
	cfg := Config{
		Had: func(w *Wanted) bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.had[w.ID()]
		},
		Held: func(string) ([]byte, bool) { return nil, false },
		Holders: func(origin string) []string {
			r.mu.Lock()
			defer r.mu.Unlock()
			names := []string{origin}
			for name := range r.members {
				if name != origin {
					names = append(names, name)
				}
			}
			slices.Sort(names[1:])
			return names
		},
		Ask: func(ctx context.Context, member string, req []byte) ([]byte, error) {
			r.mu.Lock()
			r.asked = append(r.asked, member)
			answer, known := r.members[member]
			r.mu.Unlock()
			id, err := decodeRequest(req)
			if err != nil {
				return nil, err
			}
			if !known {
				return nil, errors.New("it is not a member")
			}
			if answer == nil {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			payload, ok, err := answer(id)
			return encodeAnswer(payload, ok), err
		},
		Take: func(ctx context.Context, w *Wanted, payload []byte) error {
			if !w.Is(w.Name, payload) {
				t.Errorf("%s was taken with another payload", w.ID())
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			r.taken = append(r.taken, w.ID())
			r.had[w.ID()] = true
			return ctx.Err()
		},
		Lost: func(w *Wanted, reason string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.lost = append(r.lost, reason)
		},
		rand: rand.New(rand.NewPCG(1, 2)),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if r.Bodies, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	r.end = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return r
}

// is makes a member that speaks so.
func (r *rig) is(member string, answer func(id string) ([]byte, bool, error)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.members[member] = answer
}

// pass lets time pass, and all that is to happen in it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func has(payload []byte) func(string) ([]byte, bool, error) {
	return func(string) ([]byte, bool, error) { return payload, true, nil }
}

func hasNot(string) ([]byte, bool, error) { return nil, false, nil }

func (r *rig) events(result string) float64 {
	return value(r.metrics.events, result)
}

func value(c *prometheus.CounterVec, label string) float64 {
	var m dto.Metric
	if err := c.WithLabelValues(label).Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}

func event(n int) (w Wanted, payload []byte) {
	payload = []byte(strings.Repeat(fmt.Sprint(n), 2000))
	return Wanted{Reference: Refer("kong", payload, "publisher"), LTime: uint64(n)}, payload
}

// What has come by another way while it was waited for is not asked for.
func TestFetchedOrArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.end()
		w1, p1 := event(1)
		w2, _ := event(2)
		r.is("publisher", has(p1))
		r.Want(w1)
		r.Want(w1) // a second reference
		r.Want(w2)
		r.mu.Lock()
		r.had[w2.ID()] = true
		r.mu.Unlock()
		pass(100 * time.Millisecond)
		if !slices.Equal(r.look().taken, []string{w1.ID()}) || !slices.Equal(r.look().asked, []string{"publisher"}) || len(r.look().lost) != 0 {
			t.Errorf("asked %q, taken %q, lost %q", r.look().asked, r.look().taken, r.look().lost)
		}
		r.Want(w1) // and one that comes late
		pass(time.Hour)
		if r.events(resultFetched) != 1 || r.events(resultArrived) != 1 || len(r.look().asked) != 1 || r.look().waiting != 0 {
			t.Errorf("%v fetched, %v arrived, asked %q, %d wait", r.events(resultFetched), r.events(resultArrived), r.look().asked, r.look().waiting)
		}
	})
}

// Others are asked where the publisher is gone, and again until one has it.
func TestOthersHaveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.end()
		w, payload := event(1)
		r.is("a", hasNot)
		r.is("b", hasNot)
		r.is("c", hasNot)
		r.Want(w)
		pass(100 * time.Millisecond)
		if want := []string{"publisher", "a", "b"}; !slices.Equal(r.look().asked, want) {
			t.Errorf("asked %q at once, want %q", r.look().asked, want)
		}
		pass(10 * time.Second)
		r.is("b", has(payload))
		pass(maxWait)
		if len(r.look().taken) != 1 || len(r.look().lost) != 0 {
			t.Errorf("taken %q, lost %q, asked %d times", r.look().taken, r.look().lost, len(r.look().asked))
		}
	})
}

// What nobody has is lost, once, after a minute and a bounded number of
// questions; the last are for more members.
func TestNobodyHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.end()
		w, _ := event(1)
		for i := range 30 {
			r.is(fmt.Sprintf("m%02d", i), hasNot)
		}
		r.Want(w)
		pass(59 * time.Second)
		if len(r.look().lost) != 0 {
			t.Errorf("lost before its time: %q", r.look().lost)
		}
		before := len(r.look().asked)
		pass(2 * time.Second)
		if len(r.look().lost) != 1 || !strings.Contains(r.look().lost[0], "nobody had it for 1m0s: 16 members were asked") {
			t.Errorf("lost: %q", r.look().lost)
		}
		if last := len(r.look().asked) - before; last != askMany || before > 80 {
			t.Errorf("%d questions, and %d at last, want 80 at most and %d", before, last, askMany)
		}
		pass(time.Hour)
		if len(r.look().lost) != 1 || len(r.look().asked) != before+askMany || r.events(resultLost) != 1 {
			t.Errorf("lost %q, asked %d times", r.look().lost, len(r.look().asked))
		}
		r.Want(w) // it is told of again, as by a member that syncs
		pass(time.Second)
		if r.look().waiting != 1 {
			t.Error("it is not waited for again")
		}
	})
}

// A member that sends something else is not asked for it again.
func TestAnotherPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.end()
		w, payload := event(1)
		r.is("publisher", has(make([]byte, MaxEvent)))
		r.is("a", func(string) ([]byte, bool, error) { return nil, false, errors.New("busy") })
		r.Want(w)
		pass(20 * time.Second)
		r.is("b", has(payload))
		pass(20 * time.Second)
		wrong := 0
		for _, m := range r.look().asked {
			if m == "publisher" {
				wrong++
			}
		}
		if wrong != 1 || len(r.look().taken) != 1 {
			t.Errorf("the liar was asked %d times, taken %q", wrong, r.look().taken)
		}
	})
}

// References to nothing, however many, cost a bounded number of questions, and
// what is more than can be waited for is lost at once.
func TestReferencesToNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, sent = 150, 200
		r := newRig(t, func(c *Config) { c.maxWaiting = most })
		defer r.end()
		for n := range sent {
			w, _ := event(n)
			r.Want(w)
		}
		synctest.Wait()
		if r.look().waiting != most || len(r.look().lost) != 1 {
			t.Errorf("%d are waited for, %d lost at once; want %d and 1", r.look().waiting, len(r.look().lost), most)
		}
		pass(time.Second)
		if n := len(r.look().asked); n > 200 {
			t.Errorf("%d questions in a second, want 100, and 100 more at once", n)
		}
		pass(gatherTime)
		if n := len(r.look().lost); n != sent-most {
			t.Errorf("%d lost soon, want %d", n, sent-most)
		}
		pass(10 * time.Minute)
		if len(r.look().lost) != sent || r.look().waiting != 0 || len(r.look().asked) > 200+100*600 {
			t.Errorf("%d of %d are lost, %d still waited for, after %d questions", len(r.look().lost), sent, r.look().waiting, len(r.look().asked))
		}
	})
}

// Somebody makes up references without end. Events of other origins are fetched at once
// all the same, and the losses of all that time are told a few times only.
func TestMadeUpReferencesHoldUpNoOthers(t *testing.T) {
	for name, origin := range map[string]func(n int) string{
		"of one peer":       func(int) string { return "peer" },
		"of the publisher":  func(int) string { return "publisher" },
		"of many strangers": func(n int) string { return fmt.Sprint("stranger", n) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := map[time.Time]int{} // losses, by when
				r := newRig(t, func(c *Config) {
					lost := c.Lost
					c.Lost = func(w *Wanted, reason string) { told[time.Now()]++; lost(w, reason) }
					c.maxWaiting = 200
					c.Peer = func(name string) bool { return name == "peer" || name == "publisher" }
				})
				defer r.end()
				r.is("peer", hasNot)
				payloads := map[string][]byte{}
				r.is("publisher", func(id string) ([]byte, bool, error) { return payloads[id], payloads[id] != nil, nil })
				var longest time.Duration
				honest, forged := 0, 0
				for range 30 { // half a minute
					for range 80 {
						forged++
						payload := []byte(fmt.Sprint("forged", forged))
						r.Want(Wanted{Reference: Refer("kong", payload, origin(forged)), LTime: uint64(forged)})
						time.Sleep(10 * time.Millisecond)
					}
					w, payload := event(honest)
					r.mu.Lock()
					payloads[w.ID()] = payload
					r.mu.Unlock()
					honest++
					began := time.Now()
					r.Want(w)
					for len(r.look().taken) < honest && time.Since(began) < time.Minute {
						time.Sleep(time.Millisecond)
					}
					longest = max(longest, time.Since(began))
					time.Sleep(time.Second / 2)
				}
				if longest > time.Second/2 {
					t.Errorf("an event of another origin took %v", longest)
				}
				pass(2 * time.Minute)
				if n := len(r.look().lost); n != forged || len(told) > 1+180/int(gatherTime/time.Second) {
					t.Errorf("%d of %d were told to be lost, at %d times", n, forged, len(told))
				}
				t.Logf("the slowest event of another origin took %v; %d losses were told at %d times", longest, forged, len(told))
			})
		})
	}
}

// Without anyone to ask an event is lost at once. And the end does not wait for
// a member that hangs, nor is anything lost by it.
func TestNobodyToAskAndTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := event(1)
		r := newRig(t, func(c *Config) { c.Ask = nil })
		r.Want(w)
		if len(r.look().lost) != 1 || !strings.Contains(r.look().lost[0], "peer_links") {
			t.Errorf("lost %q", r.look().lost)
		}
		r.end()
		r = newRig(t)
		r.is("publisher", nil)
		r.Want(w)
		pass(time.Second)
		if len(r.look().asked) != 1 {
			t.Errorf("asked %q", r.look().asked)
		}
		r.end()
		if len(r.look().lost) != 0 || len(r.look().taken) != 0 {
			t.Errorf("lost %q, taken %q", r.look().lost, r.look().taken)
		}
	})
}

// A slow member holds up one of those who fetch, and not the other, also where
// that one was not told of what is wanted, since much came at a time.
func TestSlowMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const events = 20
		r := newRig(t, func(c *Config) { c.fetchers = 2 })
		defer r.end()
		payloads := map[string][]byte{}
		r.is("slow", nil)
		r.is("publisher", func(id string) ([]byte, bool, error) { return payloads[id], true, nil })
		pass(time.Second)
		now := time.Now()
		r.Bodies.mu.Lock()
		for n := range 1 + events {
			w, payload := event(n)
			payloads[w.ID()] = payload
			if n == 0 {
				w.Origin = "slow"
			}
			r.Bodies.waiting[w.ID()] = &wait{
				Wanted: w, id: w.ID(), next: now.Add(time.Duration(n) * time.Millisecond), until: now.Add(time.Minute),
			}
		}
		r.Bodies.mu.Unlock()
		r.poke() // one of the two wakes
		pass(time.Second)
		if got := r.look(); len(got.taken) != events || got.waiting != 1 {
			t.Errorf("%d of %d events were taken, %d are waited for", len(got.taken), events, got.waiting)
		}
	})
}
