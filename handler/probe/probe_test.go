package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"agentctl/scripts/testkit"
)

// server is what a Prober connects to.
type server struct {
	mu    sync.Mutex
	state error // nil: it takes connections
	dials []string
	open  int // connections
}

func (s *server) set(state error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = state
}

func (s *server) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dials = append(s.dials, network+" "+addr)
	if errors.Is(s.state, context.DeadlineExceeded) {
		s.mu.Unlock()
		<-ctx.Done()
		s.mu.Lock()
		return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
	}
	if s.state != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, s.state)
	}
	ours, _ := net.Pipe()
	s.open++
	return closing{ours, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open--
	}}, nil
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.dials)
}

type closing struct {
	net.Conn
	closed func()
}

func (c closing) Close() error { c.closed(); return c.Conn.Close() }

func isBack(w *Watch) bool {
	select {
	case <-w.Back:
		return true
	default:
		return false
	}
}

const addr = "10.0.0.1:80"

// However long a server was away, all who wait for it know within Every that it is
// back. However many they are, there is one series of connections, and its end with
// theirs.
func TestBackAfterAnyOutage(t *testing.T) {
	for _, outage := range []time.Duration{0, 123 * time.Millisecond, time.Second, time.Minute, 10 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s := &server{state: syscall.ECONNREFUSED}
			reg := prometheus.NewRegistry()
			p := New(s.dial, reg)
			var watches []*Watch
			for range 10 {
				watches = append(watches, p.Watch("tcp", addr, Refused))
			}
			time.Sleep(outage)
			s.set(nil)
			back := time.Now()
			for _, w := range watches {
				<-w.Back
			}
			if late := time.Since(back); late > Every {
				t.Errorf("away for %v: known %v late, want %v at most", outage, late, Every)
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			if n, most := s.count(), int(outage/Every)+1; n > most {
				t.Errorf("away for %v: %d connections, want %d at most", outage, n, most)
			}
			failed, taken := testkit.Counter(t, reg, "agentctl_probes_total", "failed"), testkit.Counter(t, reg, "agentctl_probes_total", "taken")
			if int(failed+taken) != s.count() || taken != 1 {
				t.Errorf("away for %v: of %d connections %v are counted as failed, %v as taken", outage, s.count(), failed, taken)
			}
			testkit.Want(t, "connections left open", s.open, 0)
			testkit.Want(t, "addresses watched", len(p.watched), 0)
			for _, w := range watches {
				w.Stop() // no harm
			}
		})
	}
}

// Who waits for another reason wakes only if a connection was refused since.
func TestTheReasonOfTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		p := New(s.dial, nil)
		failed := p.Watch("tcp", addr, Failed)
		time.Sleep(time.Minute)
		testkit.Want(t, "connections behind a failure", s.count(), 0)
		answered := p.Watch("tcp", addr, Answered)
		time.Sleep(time.Minute + time.Millisecond)
		if n := s.count(); n < 59 || n > 61 {
			t.Errorf("%d connections in a minute behind an answer, want one a second", n)
		}
		if isBack(failed) || isBack(answered) {
			t.Error("back, though it was not away")
		}
		s.set(syscall.ECONNREFUSED)
		time.Sleep(2 * time.Second)
		s.set(nil)
		later := p.Watch("tcp", addr, Answered) // its answer came after the outage
		back := time.Now()
		<-failed.Back
		<-answered.Back
		if late := time.Since(back); late > Every {
			t.Errorf("%v late", late)
		}
		time.Sleep(time.Minute)
		if isBack(later) {
			t.Error("back, though it was not away since")
		}
		later.Stop()
		synctest.Wait()
		n := s.count()
		time.Sleep(time.Hour)
		testkit.Want(t, "connections with nobody waiting", s.count(), n)
	})
}

// Another's refused connection counts for all at the address, and for no other address.
func TestRefusedAtOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{state: syscall.ENOENT}
		p := New(s.dial, nil)
		here, elsewhere := p.Watch("unix", "/run/g.sock", Answered), p.Watch("tcp", addr, Failed)
		refused := p.Watch("unix", "/run/g.sock", Refused)
		time.Sleep(Every / 2)
		refused.Stop()
		s.set(nil)
		<-here.Back
		if isBack(elsewhere) {
			t.Error("back at the other address")
		}
		elsewhere.Stop()
		testkit.Want(t, "connections", s.dials, []string{"unix /run/g.sock"})
	})
}

// Watches that come and go do not put a connection off.
func TestWatchesThatComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{state: syscall.ECONNREFUSED}
		p := New(s.dial, nil)
		w := p.Watch("tcp", addr, Refused)
		s.set(nil)
		began := time.Now()
		for !isBack(w) {
			p.Watch("tcp", addr, Failed).Stop()
			time.Sleep(time.Millisecond)
			if time.Since(began) > time.Minute {
				t.Fatal("it is never back")
			}
		}
		if late := time.Since(began); late > Every+time.Millisecond {
			t.Errorf("%v late", late)
		}
	})
}

// A connection that is neither taken nor refused says nothing, is given up after a
// second, and ends at once when nobody waits any more.
func TestConnectionsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{state: context.DeadlineExceeded}
		p := New(s.dial, nil)
		answered := p.Watch("tcp", addr, Answered)
		time.Sleep(10 * time.Second)
		s.set(nil)
		time.Sleep(10 * time.Second)
		if isBack(answered) {
			t.Error("back, though it refused nothing")
		}
		refused := p.Watch("tcp", addr, Refused)
		s.set(context.DeadlineExceeded)
		time.Sleep(time.Minute)
		s.set(nil)
		began := time.Now()
		<-refused.Back
		if late := time.Since(began); late > dialTimeout+Every {
			t.Errorf("%v late", late)
		}
		s.set(context.DeadlineExceeded)
		again := p.Watch("tcp", addr, Refused)
		time.Sleep(Every + dialTimeout/2) // a connection hangs
		again.Stop()
		answered.Stop()
		synctest.Wait() // the bubble waits for no goroutine
	})
}
