package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"agentctl/scripts/testkit"
)

// fakeJoiner fails until succeedAt, a count of calls.
type fakeJoiner struct {
	succeedAt int
	calls     [][]string
	times     []time.Time
	replays   []bool
	failures  int // that it was told of
}

func (f *fakeJoiner) failed() { f.failures++ }

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
			if err := retryJoin(t.Context(), j, fakeDNS{}, []string{"a", "b:1"}, true, interval, 0, j.failed, logger); err != nil {
				t.Fatal(err)
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
			if ceiling != interval || len(j.calls) != 9 || !slices.Equal(j.calls[8], []string{"a", "b:1"}) || !j.replays[8] {
				t.Errorf("%d calls, the last with %v, replay %v", len(j.calls), j.calls[8], j.replays[8])
			}
			if n := log.Count("level=WARN", "trying again", "error=refused"); n != 8 {
				t.Errorf("%d warnings, want 8", n)
			}
			if n := log.Count("joined the cluster", "attempts=9"); n != 1 {
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
		err := retryJoin(t.Context(), j, fakeDNS{}, []string{"a", "b"}, false, 7*time.Second, 3, j.failed, logger)
		if !errors.Is(err, errRefused) || !strings.HasPrefix(err.Error(), "retry-join: none of a, b could be joined in 4 attempts: ") {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); len(j.calls) != 4 || j.failures != 4 || took != 21*time.Second {
			t.Errorf("%d tries in %v, told of %d, want 4 in 21s", len(j.calls), took, j.failures)
		}
	})
}

func TestRetryJoinEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, _ := testkit.NewLog()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if err := retryJoin(ctx, new(fakeJoiner), fakeDNS{}, []string{"a"}, false, time.Hour, 0, func() {}, logger); err != nil {
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
		if err := retryJoin(t.Context(), j, dns, []string{"dns+srv://_serf._tcp.x"}, false, time.Second, 0, j.failed, logger); err != nil {
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
	j := &fakeJoiner{succeedAt: 1}
	if n, err := joinOnce(t.Context(), j, dns, addrs, false, logger); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if want := []string{"plain", "g:1"}; !slices.Equal(j.calls[0], want) {
		t.Errorf("joined %v, want %v", j.calls[0], want)
	}
	if log.Count("level=WARN", "dns+srv://gone", "no such host") != 1 {
		t.Errorf("the one that failed is not told:\n%s", log)
	}
	// Both reasons, when nothing could be joined.
	_, err := joinOnce(t.Context(), j, dns, addrs, false, logger)
	if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "dns+srv://gone: ") {
		t.Errorf("%v", err)
	}
	calls := len(j.calls)
	n, err := joinOnce(t.Context(), j, dns, []string{"dns+srv://gone"}, false, logger)
	if _, ok := errors.AsType[*net.DNSError](err); n != 0 || !ok || len(j.calls) != calls {
		t.Errorf("nothing to join: %d, %v, %d calls", n, err, len(j.calls)-calls)
	}
}
