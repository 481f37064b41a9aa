package broadcast

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
	"github.com/prometheus/client_golang/prometheus"

	"agentctl/scripts/testkit"
)

// fakeSender keeps what direct sends.
type fakeSender struct {
	hold chan struct{} // where set, each message waits for it
	err  error

	mu   sync.Mutex
	sent []sentMessage
}

type sentMessage struct {
	way, to, msg string
	at           time.Time
}

func (f *fakeSender) SendBestEffort(to *memberlist.Node, msg []byte) error {
	return f.add("udp", to, msg)
}

func (f *fakeSender) SendReliable(to *memberlist.Node, msg []byte) error {
	return f.add("tcp", to, msg)
}

func (f *fakeSender) add(way string, to *memberlist.Node, msg []byte) error {
	if f.hold != nil {
		<-f.hold
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, sentMessage{way, to.Name + " " + to.Address(), string(msg), time.Now()})
	return f.err
}

func memberNode(name string, port uint16) *memberlist.Node {
	return &memberlist.Node{Name: name, Addr: net.IPv4(10, 0, 0, 1), Port: port}
}

// directRig is a direct in a bubble; end stops it, and returns once all its
// goroutines have ended.
func directRig(t *testing.T, f *fakeSender) (d *direct, ctx context.Context, count func(string) float64, end func()) {
	reg := prometheus.NewRegistry()
	ctx, cancel := context.WithCancel(t.Context())
	d = newDirect(f, 1400, func(name string) bool { return name == "deaf" }, newMetrics(reg))
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	count = func(result string) float64 { return testkit.Counter(t, reg, "agentctl_direct_messages_total", result) }
	return d, ctx, count, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// In order, and at most a batch in each pause: a stock agent's queue would
// overflow.
func TestDirectSendKeepsOrderAndPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages = 210
		f := new(fakeSender)
		d, ctx, count, end := directRig(t, f)
		var want []string
		for i := range messages {
			want = append(want, fmt.Sprint(i))
			d.enqueue(ctx, memberNode("a", 1), []byte(want[i]))
			d.enqueue(ctx, memberNode("b", 2), []byte(want[i]))
		}
		time.Sleep(time.Second)
		end()
		got, at := map[string][]string{}, map[string][]time.Time{}
		for _, s := range f.sent {
			got[s.to], at[s.to] = append(got[s.to], s.msg), append(at[s.to], s.at)
		}
		if len(got) != 2 || count("udp") != 2*messages {
			t.Errorf("%d nodes got %v messages", len(got), count("udp"))
		}
		for to, msgs := range got {
			if !slices.Equal(msgs, want) {
				t.Errorf("%s got %d messages, or in another order than the %d sent", to, len(msgs), messages)
			}
			for i, when := range at[to] {
				if i >= directBatch && when.Sub(at[to][i-directBatch]) < directPause {
					t.Fatalf("%s got more than %d messages within %v", to, directBatch, directPause)
				}
			}
			if took := at[to][messages-1].Sub(at[to][0]); took > messages/directBatch*directPause {
				t.Errorf("%s got all after %v: a slower pace than meant", to, took)
			}
		}
	})
}

func TestDirectSendByPacketOrTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeSender)
		d, ctx, count, end := directRig(t, f)
		for _, size := range []int{1, 1400 - packetOverhead, 1400 - packetOverhead + 1, 9216} {
			d.enqueue(ctx, memberNode("a", 1), make([]byte, size))
		}
		synctest.Wait()
		var got []string
		for _, s := range f.sent {
			got = append(got, fmt.Sprint(s.way, " ", len(s.msg)))
		}
		if want := []string{"udp 1", "udp 1336", "tcp 1337", "tcp 9216"}; !slices.Equal(got, want) {
			t.Errorf("sent %v, want %v", got, want)
		}
		f.sent = nil
		d.enqueue(ctx, memberNode("deaf", 1), []byte("x"))
		synctest.Wait()
		if len(f.sent) != 1 || f.sent[0].way != "tcp" {
			t.Errorf("sent %v to a node that packets do not get to", f.sent)
		}
		f.err = errors.New("no route")
		d.enqueue(ctx, memberNode("a", 1), []byte("x"))
		synctest.Wait()
		if count("udp") != 2 || count("tcp") != 3 || count("failed") != 1 {
			t.Errorf("counted %v udp, %v tcp, %v failed", count("udp"), count("tcp"), count("failed"))
		}
		end()
	})
}

// A node that cannot be dialled costs one time limit, not one for each message.
func TestDirectSendGivesUpOnADeadNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSender{hold: make(chan struct{}), err: errors.New("i/o timeout")}
		d, ctx, count, end := directRig(t, f)
		for range 5 {
			d.enqueue(ctx, memberNode("dead", 1), make([]byte, 9216))
		}
		synctest.Wait()
		close(f.hold)
		synctest.Wait()
		if len(f.sent) != 1 || count("failed") != 5 {
			t.Errorf("%d messages were tried, and %v counted, want one of 5", len(f.sent), count("failed"))
		}
		// What comes later is tried again, and a packet's failure costs nothing.
		for range 3 {
			d.enqueue(ctx, memberNode("dead", 1), []byte("x"))
		}
		synctest.Wait()
		if len(f.sent) != 4 {
			t.Errorf("%d messages were tried, want 4", len(f.sent))
		}
		end()
	})
}

// A node that takes nothing fills its own queue only, by number or by bytes,
// and what is over is counted.
func TestDirectSendIsBounded(t *testing.T) {
	for name, tt := range map[string]struct{ size, fit int }{
		"number": {1, directQueue},
		"bytes":  {8 << 10, directBytes / (8 << 10)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fakeSender{hold: make(chan struct{})}
				d, ctx, count, end := directRig(t, f)
				d.enqueue(ctx, memberNode("slow", 1), make([]byte, tt.size))
				synctest.Wait() // that one is being sent
				for range tt.fit + 3 {
					d.enqueue(ctx, memberNode("slow", 1), make([]byte, tt.size))
				}
				d.enqueue(ctx, memberNode("other", 2), make([]byte, tt.size))
				if got := count("dropped"); got != 3 {
					t.Errorf("%v dropped, want the 3 that are over %d", got, tt.fit)
				}
				close(f.hold)
				time.Sleep(time.Minute)
				if got := count("udp") + count("tcp"); got != float64(tt.fit+2) {
					t.Errorf("%v sent, want %d", got, tt.fit+2)
				}
				end()
			})
		})
	}
}

// Nothing stays for a node that gets nothing any more, and what comes later is
// sent all the same.
func TestDirectSendRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeSender)
		d, ctx, _, end := directRig(t, f)
		boxes := func() int {
			d.mu.Lock()
			defer d.mu.Unlock()
			return len(d.boxes)
		}
		d.enqueue(ctx, memberNode("a", 1), []byte("1"))
		time.Sleep(directIdle - time.Second)
		d.enqueue(ctx, memberNode("a", 1), []byte("2"))
		time.Sleep(directIdle - time.Second)
		if boxes() != 1 {
			t.Error("a node that was sent something lately is forgotten")
		}
		time.Sleep(2 * time.Second)
		if boxes() != 0 {
			t.Error("a node that gets nothing is not forgotten")
		}
		d.wg.Wait() // a deadlock here ends the test
		d.enqueue(ctx, memberNode("a", 1), []byte("3"))
		synctest.Wait()
		if len(f.sent) != 3 {
			t.Errorf("%d messages were sent, want 3", len(f.sent))
		}
		end()
	})
}

// A name that has moved is reached at its new address, with no rest between.
func TestDirectSendFollowsAMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := new(fakeSender)
		d, ctx, _, end := directRig(t, f)
		d.enqueue(ctx, memberNode("a", 1), []byte("x"))
		synctest.Wait()
		d.enqueue(ctx, memberNode("a", 2), []byte("x"))
		synctest.Wait()
		if len(f.sent) != 2 || f.sent[0].to == f.sent[1].to {
			t.Errorf("sent %v, want one to each address", f.sent)
		}
		end()
	})
}

// The end waits for a message that is being sent, and for no other.
func TestDirectSendEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeSender{hold: make(chan struct{})}
		d, ctx, _, end := directRig(t, f)
		for range 100 {
			d.enqueue(ctx, memberNode("a", 1), []byte("x"))
		}
		synctest.Wait()
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			end()
		}()
		synctest.Wait()
		select {
		case <-ended:
			t.Error("ended while a message was being sent")
		default:
		}
		close(f.hold)
		<-ended
		d.enqueue(ctx, memberNode("b", 2), []byte("x"))
		synctest.Wait()
		if len(f.sent) != 1 {
			t.Errorf("%d messages were sent, want the one that was under way", len(f.sent))
		}
	})
}
