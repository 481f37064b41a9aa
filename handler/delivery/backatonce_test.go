package delivery

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/handler"
	"agentctl/handler/journal"
	"agentctl/handler/probe"
	"agentctl/handler/target"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/journals"
)

// atOnce is how soon an attempt begins once a gateway is back.
const atOnce = 300 * time.Millisecond

// gateway is a server in memory that refuses connections while it is down.
type gateway struct {
	mu     sync.Mutex
	answer http.HandlerFunc // nil: it is down
	server *http.Server
	pipes  testkit.Pipes
	dials  int
	gone   error       // how dials fail while it is down; nil: they are refused
	took   []time.Time // requests
}

// up has the gateway answer, and down has it refuse connections.
func (g *gateway) up(answer http.HandlerFunc) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer, g.pipes = answer, make(testkit.Pipes)
	g.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		g.mu.Lock()
		g.took = append(g.took, time.Now())
		g.mu.Unlock()
		answer(w, r)
	})}
	go g.server.Serve(g.pipes)
}

func (g *gateway) down() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.server != nil {
		g.server.Close()
	}
	g.answer, g.server = nil, nil
}

func (g *gateway) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	g.mu.Lock() // and not closed while it is dialed
	defer g.mu.Unlock()
	g.dials++
	if g.answer == nil {
		err := error(syscall.ECONNREFUSED)
		if g.gone != nil {
			err = g.gone
		}
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	return g.pipes.Dial(ctx, network, addr)
}

// requests are the times of those since a time.
func (g *gateway) requests(since time.Time) (out []time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range g.took {
		if !at.Before(since) {
			out = append(out, at)
		}
	}
	return out
}

// dialed counts the connections since it was called last.
func (g *gateway) dialed() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	defer func() { g.dials = 0 }()
	return g.dials
}

// deliverTo has a Delivery to the gateway work until the test ends.
func (g *gateway) deliverTo(t *testing.T, j *journal.Journal, to target.Target, prober *probe.Prober) *Delivery {
	t.Helper()
	if to.URL == "" {
		to.URL = "http://10.0.0.1:8001/"
	}
	d, err := New(Config{Target: to, Journal: j, Dial: g.dial, Prober: prober})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		g.down()
	})
	return d
}

func takes(http.ResponseWriter, *http.Request) {}

func says(status int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

// However long a gateway refused connections, the next attempt begins soon after it
// takes them again: an event's, or the flush's, over TCP or a unix socket.
func TestBackAtOnce(t *testing.T) {
	var late []time.Duration
	outages := []time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}
	for _, to := range []target.Target{{}, {Flush: &target.FlushRequest{}}, {URL: "unix:/run/g.sock:/"}} {
		for i := range 40 {
			outage := outages[i%len(outages)] + time.Duration(i)*37*time.Millisecond
			synctest.Test(t, func(t *testing.T) {
				g, j := &gateway{}, journal.New(journal.Config{})
				d := g.deliverTo(t, j, to, nil)
				if to.Flush != nil {
					if err := d.Flush("for the test"); err != nil {
						t.Fatal(err)
					}
				}
				journals.MustAppend(t, j, journals.User(1, ""), journals.User(2, ""))
				time.Sleep(outage)
				if s := d.Status(); s.NextWhy != WhyRefused || s.NextAttempt.Before(time.Now()) {
					t.Errorf("away for %v: the next attempt is due at %v, %s", outage, s.NextAttempt, s.NextWhy)
				}
				back := time.Now()
				g.up(takes)
				if err := d.Idle(t.Context()); err != nil {
					t.Fatal(err)
				}
				late = append(late, g.requests(back)[0].Sub(back))
				if s := d.Status(); !s.NextAttempt.IsZero() || s.NextWhy != "" {
					t.Errorf("it is well, and the next attempt is due at %v, %s", s.NextAttempt, s.NextWhy)
				}
			})
		}
	}
	slices.Sort(late)
	t.Logf("SUMMARY after outages of 1 s to 10 min the next attempt began %v late at most, %v at the median", late[len(late)-1], late[len(late)/2])
	if most := late[len(late)-1]; most > atOnce {
		t.Errorf("an attempt began %v late, want %v at most", most, atOnce)
	}
}

// A gateway whose name does not resolve for a while is tried soon after it does. The
// lookups are as many as the connections to an address.
func TestANameThatResolvesAgain(t *testing.T) {
	for name, gone := range map[string]*net.DNSError{
		"no such host":       {Err: "no such host", Name: "gw", IsNotFound: true},
		"server misbehaving": {Err: "server misbehaving", Name: "gw", IsTemporary: true},
		"no answer":          {Err: "i/o timeout", Name: "gw", IsTimeout: true, IsTemporary: true},
	} {
		for _, outage := range []time.Duration{time.Second, time.Minute, 10 * time.Minute} {
			synctest.Test(t, func(t *testing.T) {
				g, j := &gateway{gone: gone}, journal.New(journal.Config{})
				d := g.deliverTo(t, j, target.Target{URL: "http://gw:8001/"}, nil)
				journals.MustAppend(t, j, journals.User(1, ""))
				time.Sleep(outage)
				testkit.Want(t, name+": why it waits", d.Status().NextWhy, WhyRefused)
				// Those of the prober, and the attempts: some at first, then one in 15 s.
				if n, most := g.dialed(), int(outage/probe.Every+outage/(5*time.Second))+10; n > most {
					t.Errorf("%s: %d lookups in %v, want %d at most", name, n, outage, most)
				}
				back := time.Now()
				g.up(takes)
				if err := d.Idle(t.Context()); err != nil {
					t.Fatal(err)
				}
				if late := g.requests(back)[0].Sub(back); late > atOnce {
					t.Errorf("%s: gone for %v: the attempt began %v late", name, outage, late)
				}
			})
		}
	}
}

// A gateway that takes connections before it can answer is tried again after short
// waits, since its failures count from its return.
func TestBackBeforeItIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, j := &gateway{}, journal.New(journal.Config{})
		d := g.deliverTo(t, j, target.Target{}, nil)
		journals.MustAppend(t, j, journals.User(1, ""))
		time.Sleep(10 * time.Minute)
		ready := time.Now().Add(time.Second)
		g.up(func(w http.ResponseWriter, _ *http.Request) {
			if time.Now().Before(ready) {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		if err := d.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		// Only the failures since its return count for the last wait.
		failed := len(g.requests(ready.Add(-time.Second))) - 1
		if late, most := time.Since(ready), d.backoff.Ceiling(max(failed, 1)); late > most {
			t.Errorf("it took the event %v after it was ready, and %d failures, want %v at most", late, failed, most)
		}
	})
}

// Where connections are taken and the request then fails, all there is are the retries,
// with their waits.
func TestConnectionsThatBringNothing(t *testing.T) {
	abort := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, answer := range map[string]http.HandlerFunc{"closes": abort, "hangs": hang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, j := &gateway{}, journal.New(journal.Config{})
				d := g.deliverTo(t, j, target.Target{}, nil)
				journals.MustAppend(t, j, journals.User(1, ""))
				time.Sleep(time.Minute)
				g.up(answer)
				g.dialed()
				began := time.Now()
				time.Sleep(10 * time.Minute)
				requests, dials := len(g.requests(began)), g.dialed()
				// Ceilings of 0.1 s doubling to 30 s, then a mean of 15 s.
				if requests < 15 || requests > 80 {
					t.Errorf("%d attempts in 10 minutes", requests)
				}
				if dials > requests+2 {
					t.Errorf("%d connections for %d attempts", dials, requests)
				}
				if s := d.Status(); name == "closes" && s.NextWhy != WhyBackoff {
					t.Errorf("the next attempt waits for %q", s.NextWhy)
				}
			})
		})
	}
}

// Targets at one address share one series of connections, and are all tried once it is
// back.
func TestOneProberForAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, j := &gateway{}, journal.New(journal.Config{})
		prober := probe.New(g.dial, nil)
		var all []*Delivery
		for i := range 20 {
			all = append(all, g.deliverTo(t, j, target.Target{URL: fmt.Sprintf("http://10.0.0.1:8001/%d", i), Concurrency: 5}, prober))
		}
		for i := range uint64(5) {
			e := handler.NewUser(i, "kong", fmt.Append(nil, i), time.Now())
			journals.MustAppend(t, j, e)
		}
		time.Sleep(10 * time.Minute)
		g.dialed()
		time.Sleep(time.Minute)
		// 300 of the prober. Each of the 100 events has waits of 15 s on average.
		if n := g.dialed(); n < 300 || n > 300+700 {
			t.Errorf("%d connections in a minute", n)
		}
		back := time.Now()
		g.up(takes)
		for _, d := range all {
			if err := d.Idle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if late := time.Since(back); late > atOnce {
			t.Errorf("all was taken %v after it was back", late)
		}
	})
}

// A wait that an answer began goes on while the gateway is up. It ends when the gateway
// is back from a restart.
func TestWaitsOfAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		answer http.HandlerFunc
		why    Why
	}{
		"429":                    {says(429, "120"), WhyRetryAfter},
		"503":                    {says(503, "120"), WhyRetryAfter},
		"more than five minutes": {says(503, "100000"), WhyRetryAfter},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, j := &gateway{}, journal.New(journal.Config{})
				d := g.deliverTo(t, j, target.Target{}, nil)
				began := time.Now()
				g.up(tt.answer)
				journals.MustAppend(t, j, journals.User(1, ""))
				time.Sleep(100 * time.Second)
				testkit.Want(t, "attempts", len(g.requests(began)), 1)
				due := d.Status()
				if due.NextWhy != tt.why || due.NextAttempt.Sub(began) > 5*time.Minute {
					t.Errorf("the next attempt is due after %v, %s", due.NextAttempt.Sub(began), due.NextWhy)
				}
				g.down()
				time.Sleep(3 * time.Second)
				back := time.Now()
				g.up(takes)
				if err := d.Idle(t.Context()); err != nil {
					t.Fatal(err)
				}
				if late := time.Since(back); late > atOnce {
					t.Errorf("the event was taken %v after the restart", late)
				}
			})
		})
	}
}

// RetryNow ends the waits of all events, and of the flush.
func TestRetryNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, j := &gateway{}, journal.New(journal.Config{})
		d := g.deliverTo(t, j, target.Target{Concurrency: 3, Flush: &target.FlushRequest{}}, nil)
		d.RetryNow() // nothing waits
		began := time.Now()
		g.up(says(503, "300"))
		if err := d.Flush("for the test"); err != nil {
			t.Fatal(err)
		}
		for i := range uint64(3) {
			journals.MustAppend(t, j, handler.NewUser(i, "kong", fmt.Append(nil, i), time.Now()))
		}
		time.Sleep(time.Minute)
		testkit.Want(t, "attempts at the flush", len(g.requests(began)), 1)
		var ok atomic.Bool
		g.down()
		g.up(func(w http.ResponseWriter, r *http.Request) {
			if !ok.Load() && r.Header.Get("X-Serf-Event") != "" {
				says(503, "300")(w, r)
			}
		})
		began = time.Now()
		d.RetryNow()
		time.Sleep(time.Millisecond)
		testkit.Want(t, "flushes", d.Status().Flushes, 1)
		time.Sleep(time.Minute)
		testkit.Want(t, "the flush, and attempts at events", len(g.requests(began)), 4)
		ok.Store(true)
		began = time.Now()
		d.RetryNow()
		if err := d.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
		testkit.Want(t, "the last attempts took", time.Since(began), 0)
		testkit.Want(t, "delivered", d.Status().Delivered, 3)
	})
}

// A command that brings one event without a journal notices, too.
func TestBackAtOnceWithoutAJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gateway{}
		p, err := target.NewPosterOn(g.dial, target.Target{URL: "http://10.0.0.1:8001/"})
		if err != nil {
			t.Fatal(err)
		}
		var back time.Time
		go func() {
			time.Sleep(5 * time.Minute)
			back = time.Now()
			g.up(takes)
		}()
		e := journals.User(1, "")
		if err := Deliver(t.Context(), p, &e); err != nil {
			t.Fatal(err)
		}
		if late := time.Since(back); late > atOnce {
			t.Errorf("it was taken %v after the gateway was back", late)
		}
		p.Close()
		g.down()
	})
}
