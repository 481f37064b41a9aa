package delegate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// ask has a node asked to ask others.
func (n *node) ask(t *testing.T, client string, names ...string) ([]*Answer, error) {
	t.Helper()
	r := request{wait: longest, question: []byte("q"), names: names}
	raw, err := n.Handle(t.Context(), client, r.encode(version))
	if err != nil {
		return nil, err
	}
	return decodeReply(version, raw, len(names))
}

// A delegate says what each member has said, and of whom it does not know.
func TestADelegateAsksOthers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(300)
		c.nodes[c.names[7]].deaf = true
		n := c.nodes[c.names[0]]
		n.choice.leave(c.names[7]) // else it may be a delegate, and its group is not reached
		for _, names := range [][]string{c.names[:20], c.names[:300]} {
			names = append(slices.Clone(names), "stranger", names[3])
			answers, err := n.ask(t, "10.0.0.1", names...)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range names {
				reached := i != 7 && i < len(names)-2 // the last is there twice
				if a := answers[i]; (a != nil) != reached || a != nil && string(a.Shared) != "final "+name {
					t.Errorf("of %d: %s: %+v", len(names), name, a)
				}
			}
		}
	})
}

// A member that hangs does not hold up the reply for long, and if most hang, it comes in
// time all the same.
func TestADelegateDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	for hung, most := range map[int]time.Duration{0: 2 * time.Millisecond, 5: 60 * time.Millisecond, 30: longest, 50: longest} {
		bubble(t, func(t *testing.T) {
			c := newCluster(51)
			for _, name := range c.names[1 : 1+hung] {
				c.nodes[name].deaf = true
			}
			began := time.Now()
			answers, err := c.nodes[c.names[0]].ask(t, "10.0.0.1", c.names...)
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > most {
				t.Errorf("%d hang: it took %v", hung, took)
			}
			reached := 0
			for _, a := range answers {
				if a != nil {
					reached++
				}
			}
			if reached != 51-hung {
				t.Errorf("%d hang: %d reached", hung, reached)
			}
		})
	}
}

// Members with long answers do not fill a delegate's memory, nor its reply.
func TestLongAnswersAreLeftOut(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(61)
		for _, n := range c.nodes {
			n.truth = func() string { return n.name + strings.Repeat("x", maxShared-len(n.name)) }
		}
		c.nodes[c.names[60]].truth = func() string { return strings.Repeat("x", maxShared+1) }
		n := c.nodes[c.names[0]]
		answers, err := n.ask(t, "10.0.0.1", c.names[1:]...)
		if size := sizeOf(answers); err != nil || size > maxReply || size < maxReply/2 || answers[59] != nil {
			t.Errorf("%d bytes, %v", size, err)
		}
		r := request{names: c.names}
		s := sweep{d: n.Delegates, request: &r, others: n, slots: make(chan struct{}, Few), heard: make(chan heard, len(r.names))}
		if size := sizeOf(s.run(t.Context())); size > maxAnswers || size < maxAnswers/2 {
			t.Errorf("%d bytes are kept", size)
		}
	})
}

func sizeOf(answers []*Answer) (size int) {
	for _, a := range answers {
		if a != nil {
			size += a.size()
		}
	}
	return size
}

// A host that asks for much harms only itself.
func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(100)
		n := c.nodes[c.names[0]]
		for _, name := range c.names[1:] {
			c.nodes[name].deaf = true
		}
		for i := range handledAtOnce {
			for range handledEach + 1 { // the last of each is refused
				go n.ask(t, fmt.Sprint("10.0.0.", i/handledEach), c.names[1:3]...)
			}
			synctest.Wait()
		}
		if _, err := n.ask(t, "10.0.0.99", c.names[1]); !errors.Is(err, errBusy) {
			t.Errorf("one too many: %v", err)
		}
		time.Sleep(2 * longest)
		if _, err := n.ask(t, "10.0.0.99", c.names[1]); err != nil {
			t.Errorf("when they are over: %v", err)
		}
		time.Sleep(2 * longest)
		synctest.Wait()

		// Quick answers do not let a host have more asked in a second.
		for _, name := range c.names {
			c.nodes[name].deaf = false
		}
		var busy, names atomic.Int64
		for began := time.Now(); time.Since(began) < time.Second; time.Sleep(time.Millisecond) {
			go func() {
				if _, err := n.ask(t, "10.0.0.1", c.names[1:61]...); err != nil {
					busy.Add(1)
				} else {
					names.Add(60)
				}
			}()
			if _, err := n.ask(t, "10.0.0.2", c.names[1]); err != nil {
				t.Errorf("another host: %v", err)
			}
		}
		time.Sleep(longest)
		synctest.Wait()
		if got, most := names.Load(), int64(time.Second/heldForName)*handledEach; busy.Load() == 0 || got > most+4*60 || got < most/2 {
			t.Errorf("%d names in a second, where %d are allowed; %d refused", got, most, busy.Load())
		}
		if !slices.Contains(n.results, "busy") || !slices.Contains(n.results, "answered") {
			t.Errorf("counted: %v", n.results)
		}
	})
}

// Requests that break a limit are refused before anybody is asked.
func TestRequestsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(3)
		n := c.nodes[c.names[0]]
		encode := func(change func(*request)) []byte {
			r := request{wait: longest, question: []byte("q"), names: c.names}
			change(&r)
			return r.encode(version)
		}
		for what, raw := range map[string][]byte{
			"nothing":         nil,
			"cut":             encode(func(*request) {})[:20],
			"too much":        append(encode(func(*request) {}), 0),
			"a third path":    encode(func(r *request) { r.path = 2 }),
			"too deep":        encode(func(r *request) { r.level = maxLevel + 1 }),
			"too long a wait": encode(func(r *request) { r.wait = longest + time.Millisecond }),
			"many names":      encode(func(r *request) { r.names = make([]string, maxNames+1) }),
			"a long name":     encode(func(r *request) { r.names = []string{strings.Repeat("x", maxName+1)} }),
			"a long question": encode(func(r *request) { r.question = make([]byte, maxQuestion+1) }),
			"many bytes": encode(func(r *request) {
				r.names = slices.Repeat([]string{strings.Repeat("x", maxName)}, maxNames)
			}),
		} {
			if _, err := n.Handle(t.Context(), "10.0.0.1", raw); err == nil {
				t.Errorf("%s is taken", what)
			}
		}
		if len(n.results) != 10 || slices.ContainsFunc(n.results, func(r string) bool { return r != "refused" }) {
			t.Errorf("counted: %v", n.results)
		}
		for _, name := range c.names {
			if c.nodes[name].asked > 0 {
				t.Errorf("%s was asked", name)
			}
		}
	})
}

// What the asker itself cannot put into a request, it asks without delegates.
func TestNoRequestIsTooLong(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		c := newCluster(0)
		for i := range 1500 {
			c.add(fmt.Sprintf("%s-%05d", strings.Repeat("x", maxName-6), i))
		}
		asker := c.nodes[c.names[0]]
		said, _ := asker.inquiry(5 * time.Second)
		asker.want(t, said)
		for _, n := range c.nodes {
			if slices.Contains(n.results, "refused") {
				t.Fatalf("%s refused a request", n.name)
			}
		}
		if _, _, err := asker.pass(context.Background(), asker, &request{question: make([]byte, maxQuestion+1), names: c.names[:9]}, c.names[1:]); !errors.Is(err, errNobody) {
			t.Errorf("a question that is too long: %v", err)
		}
	})
}
