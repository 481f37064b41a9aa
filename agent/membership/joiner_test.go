package membership

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/testkit"
)

// fakeJoiner is serf. Its join fails until succeedAt, a count of calls.
type fakeJoiner struct {
	succeedAt int
	calls     [][]string
	times     []time.Time
	replays   []bool
	looks     int          // at the members
	others    atomic.Int64 // that are alive
	ips       []netip.Addr // of each name
}

func (f *fakeJoiner) lookup(context.Context, string) ([]netip.Addr, error) { return f.ips, nil }

// joiner joins by f what cfg says.
func (f *fakeJoiner) joiner(cfg JoinerConfig, dns fakeDNS) *Joiner {
	cfg.Join, cfg.Members = f.Join, f.members
	j := NewJoiner(cfg)
	j.srv = dns
	j.lookup = f.lookup
	return j
}

func (f *fakeJoiner) members() (list []serf.Member) {
	f.looks++
	for i := range f.others.Load() + 1 {
		list = append(list, member(fmt.Sprint("n", i), "10.0.0.1:1", serf.StatusAlive))
	}
	return list
}

var errRefused = errors.New("refused")

func (f *fakeJoiner) Join(addrs []string, replay bool) (int, error) {
	f.calls = append(f.calls, slices.Clone(addrs))
	f.times = append(f.times, time.Now())
	f.replays = append(f.replays, replay)
	if len(f.calls) == f.succeedAt {
		return 1, nil
	}
	return 0, errRefused
}

// fakeDNS answers its nth look at a name with the nth answer, and with the last
// one from there on.
type fakeDNS map[string][]any

func (f fakeDNS) LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" {
		return "", nil, fmt.Errorf("asked for %s and %s", service, proto)
	}
	answers := f[name]
	if len(answers) == 0 {
		return "", nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	if len(answers) > 1 {
		f[name] = answers[1:]
	}
	if err, ok := answers[0].(error); ok {
		return "", nil, err
	}
	return "", answers[0].([]*net.SRV), nil
}

func srv(target string, port uint16) *net.SRV { return &net.SRV{Target: target, Port: port} }

func TestRetryJoinBacksOff(t *testing.T) {
	const interval = 10 * time.Second
	shortest, longest := time.Hour, time.Duration(0)
	for range 40 {
		synctest.Test(t, func(t *testing.T) {
			logger, log := testkit.NewLog()
			j := &fakeJoiner{succeedAt: 9}
			joiner := j.joiner(JoinerConfig{Retry: []string{"a"}, Replay: true, Interval: interval, Logger: logger}, nil)
			if joiner.IsJoined() {
				t.Error("joined before it has begun")
			}
			if err := joiner.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !joiner.IsJoined() || joiner.Contacted() != 1 {
				t.Errorf("joined: %v, contacted %d", joiner.IsJoined(), joiner.Contacted())
			}
			ceiling := firstRetry
			for i, at := range j.times[1:] {
				pause := at.Sub(j.times[i])
				if pause < ceiling/2 || pause > ceiling {
					t.Errorf("wait %d is %v, want within %v and %v", i+1, pause, ceiling/2, ceiling)
				}
				if ceiling == interval {
					shortest, longest = min(shortest, pause), max(longest, pause)
				}
				ceiling = min(2*ceiling, interval)
			}
			if ceiling != interval || len(j.calls) != 9 || !slices.Equal(j.calls[8], []string{"a"}) || !j.replays[8] {
				t.Errorf("%d calls, the last with %v, replay %v", len(j.calls), j.calls[8], j.replays[8])
			}
			if n := log.Count("trying again", `error="a: refused"`); n != 8 {
				t.Errorf("%d lines of failures, want 8", n)
			}
			if n := log.Count("level=WARN", "trying again"); n != 4 { // of the 1st, 2nd, 4th and 8th
				t.Errorf("%d warnings, want 4", n)
			}
			if n := log.Count("joined the cluster by retry-join", "attempts=9"); n != 1 {
				t.Errorf("%d lines tell of the join, want 1", n)
			}
		})
	}
	if longest-shortest < interval/4 {
		t.Errorf("waits are within %v and %v: no jitter", shortest, longest)
	}
}

// With a limit it is as in serf: the interval each time, and one try more than
// the limit.
func TestRetryJoinWithALimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		j := new(fakeJoiner)
		start := time.Now()
		joiner := j.joiner(JoinerConfig{Retry: []string{"a", "b"}, Interval: 7 * time.Second, MaxAttempts: 3, Logger: logger}, nil)
		err := joiner.Run(t.Context())
		if !errors.Is(err, errRefused) || !strings.HasPrefix(err.Error(), "retry-join: none of a, b could be joined in 4 attempts: ") {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); len(j.calls) != 8 || j.looks != 4 || took != 21*time.Second {
			t.Errorf("%d joins in %v, %d looks at the members, want 4 of each name in 21s", len(j.calls), took, j.looks)
		}
		if joiner.IsJoined() {
			t.Error("counts as joined")
		}
	})
}

func TestRetryJoinEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		joiner := new(fakeJoiner).joiner(JoinerConfig{Retry: []string{"a"}, Interval: time.Hour, Logger: logger}, nil)
		if err := joiner.Run(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != time.Minute {
			t.Errorf("ended after %v, want 1m", took)
		}
	})
}

func TestJoinLooksSRVRecordsUpEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		dns := fakeDNS{"_serf._tcp.x": {
			errors.New("server misbehaving"),
			[]*net.SRV{},
			[]*net.SRV{srv(".", 0)},
			[]*net.SRV{srv("old.x.", 7946)},
			[]*net.SRV{srv("n1.x.", 7946), srv("fe80::1", 1)},
		}}
		j := &fakeJoiner{succeedAt: 2}
		joiner := j.joiner(JoinerConfig{Retry: []string{"dns+srv://_serf._tcp.x"}, Interval: time.Second, Logger: logger}, dns)
		if err := joiner.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		want := [][]string{{"old.x:7946"}, {"n1.x:7946", "[fe80::1]:1"}}
		if diff := cmp.Diff(want, j.calls); diff != "" {
			t.Errorf("joined (-want +got):\n%s", diff)
		}
		if log.Count("server misbehaving") != 1 || log.Count("dns+srv://_serf._tcp.x: no SRV records") != 2 {
			t.Errorf("log:\n%s", log)
		}
	})
}

func TestJoinWithAddressesThatCannotBeLookedUp(t *testing.T) {
	logger, log := testkit.NewLog()
	dns := fakeDNS{"good": {[]*net.SRV{srv("g.", 1)}}}
	addrs := []string{"plain", "dns+srv://gone", "dns+srv://good"}
	j := &fakeJoiner{succeedAt: 2}
	joiner := j.joiner(JoinerConfig{Logger: logger}, dns)
	if n, err := joiner.try(t.Context(), addrs, true); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if diff := cmp.Diff([][]string{{"plain"}, {"g:1"}}, j.calls); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]JoinFailure{{"plain", "refused", false}, {"dns+srv://gone", "no such host", true}}, joiner.Failures()); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	if log.Count("level=WARN", "dns+srv://gone", "no such host") != 1 {
		t.Errorf("the one that failed is not told:\n%s", log)
	}
	// Both reasons, when nothing could be joined.
	_, err := joiner.try(t.Context(), addrs, true)
	if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "dns+srv://gone: ") {
		t.Errorf("%v", err)
	}
	calls := len(j.calls)
	n, err := joiner.try(t.Context(), []string{"dns+srv://gone"}, true)
	if _, ok := errors.AsType[*net.DNSError](err); n != 0 || !ok || len(j.calls) != calls {
		t.Errorf("nothing to join: %d, %v, %d calls", n, err, len(j.calls)-calls)
	}
}

// A join at the start is tried once. The names of -retry-join come after it.
func TestJoinAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		j := new(fakeJoiner)
		cfg := JoinerConfig{Start: []string{"a"}, Retry: []string{"b"}, Interval: time.Second, Logger: logger}
		err := j.joiner(cfg, nil).Run(t.Context())
		if !errors.Is(err, errRefused) || !strings.HasPrefix(err.Error(), "join: ") || len(j.calls) != 1 {
			t.Errorf("%v after %v", err, j.calls)
		}
		j = &fakeJoiner{succeedAt: 1}
		joiner := j.joiner(cfg, nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := joiner.Run(ctx); err != nil {
			t.Error(err)
		}
		if !slices.Equal(j.calls[0], []string{"a"}) || len(j.calls) < 3 || !slices.Equal(j.calls[1], []string{"b"}) || joiner.Contacted() != 1 {
			t.Errorf("joined %v, contacted %d", j.calls, joiner.Contacted())
		}
		if log.Count("joined the cluster", "contacted=1") != 1 {
			t.Errorf("the log:\n%s", log)
		}
	})
}

// What counts as joined: a node that is to join nobody, one that a client has join
// another, and one that others have found; but not one that is alone.
func TestWhatCountsAsJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, log := testkit.NewLog()
		joiner := new(fakeJoiner).joiner(JoinerConfig{Logger: logger}, nil)
		if !joiner.IsJoined() || joiner.Contacted() != 0 {
			t.Error("a node that is to join nobody has not joined")
		}
		if err := joiner.Run(t.Context()); err != nil {
			t.Error(err)
		}
		cfg := JoinerConfig{Retry: []string{"a"}, Interval: time.Second, Logger: logger}
		j := &fakeJoiner{succeedAt: 2}
		joiner = j.joiner(cfg, nil)
		joiner.Join([]string{"x"}, false)
		if joiner.IsJoined() {
			t.Error("a failed join counts")
		}
		joiner.Join([]string{"x"}, false)
		if !joiner.IsJoined() || joiner.Contacted() != 1 {
			t.Error("the join of a client does not count")
		}
		j = new(fakeJoiner)
		joiner = j.joiner(cfg, nil)
		done := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- joiner.Run(ctx) }()
		time.Sleep(time.Minute)
		if joiner.IsJoined() {
			t.Error("a node that is alone has joined")
		}
		synctest.Wait()
		j.others.Store(2)
		before := log.Count("joining failed, trying again") // by the log, which has a lock
		time.Sleep(time.Minute)
		synctest.Wait()
		if !joiner.IsJoined() || joiner.Contacted() != 0 {
			t.Error("a node that others have found has not joined")
		}
		if log.Count("joining failed, trying again") < before+30 || log.Count("in the cluster, although none of retry-join", "others=2") != 1 {
			t.Errorf("there were %d tries before; the log:\n%s", before, log)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Of the many members that a name stands for, a few are joined, and others in the next
// try. The addresses of -join are all joined, as serf does.
func TestANameThatStandsForMany(t *testing.T) {
	logger, _ := testkit.NewLog()
	var records []*net.SRV
	j := &fakeJoiner{}
	for i := range 1000 {
		j.ips = append(j.ips, netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)}))
		records = append(records, srv(fmt.Sprintf("10.1.%d.%d.", i/256, i%256), 7946))
	}
	joiner := j.joiner(JoinerConfig{Logger: logger}, fakeDNS{"x": {records}})
	seen := map[string]bool{}
	for range 20 {
		joiner.try(t.Context(), []string{"all", "all:99", "dns+srv://x", "10.0.0.1", "n1/all"}, true)
	}
	for i, addrs := range j.calls {
		if want := []int{joinMost, joinMost, joinMost, 1, 1}[i%5]; len(addrs) != want {
			t.Fatalf("joined %v", addrs)
		}
		for _, addr := range addrs {
			if _, port, err := net.SplitHostPort(addr); i%5 == 0 && err == nil || i%5 == 1 && port != "99" || i%5 == 2 && port != "7946" {
				t.Errorf("address %q of name %d", addr, i%5)
			}
			seen[addr] = true
		}
	}
	if len(seen) < 3*joinMost*10 {
		t.Errorf("in 20 tries %d addresses were joined", len(seen))
	}
	j.calls = nil
	joiner.try(t.Context(), []string{"dns+srv://x"}, false)
	if len(j.calls) != 1 || len(j.calls[0]) != len(records) {
		t.Errorf("at the start: %d calls", len(j.calls))
	}
}
