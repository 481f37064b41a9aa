package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/api"
	"agentctl/cmd/agentctl/screen"
)

// fakeTerminal keeps the last frame.
type fakeTerminal struct {
	keys chan screen.Key

	mu            sync.Mutex
	width, height int
	shown         string
	drawn         int
}

func (f *fakeTerminal) Keys() <-chan screen.Key { return f.keys }

func (f *fakeTerminal) Size() (int, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.width, f.height
}

func (f *fakeTerminal) resize(width, height int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.width, f.height = width, height
}

// frame is the last one, and how many there were.
func (f *fakeTerminal) frame() (shown string, drawn int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.shown, f.drawn
}

func (f *fakeTerminal) Draw(lines []screen.Line, width, height int) error {
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line.Text + "\n")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.shown, f.drawn = b.String(), f.drawn+1
	return nil
}

// fakeSource is an agent that does as the test says.
type fakeSource struct {
	stream chan api.FollowedEvent // an event of nothing ends it

	mu         sync.Mutex
	fail, hang bool
	asked      int
	state      api.OutcomeState // of each event
	after      []uint64         // that were asked for
}

func (f *fakeSource) set(fail, hang bool, state api.OutcomeState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail, f.hang, f.state = fail, hang, state
}

// was is how often it was asked, and for what behind which events.
func (f *fakeSource) was() (asked int, after []uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked, slices.Clone(f.after)
}

func (f *fakeSource) cluster(ctx context.Context) (*api.ClusterReport, error) {
	f.mu.Lock()
	f.asked++
	fail, hang := f.fail, f.hang
	f.mu.Unlock()
	if hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if fail {
		return nil, errors.New("no agent answers")
	}
	return topCluster(time.Now()), nil
}

func (f *fakeSource) event(_ context.Context, id string) (*api.EventReport, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state == "" {
		return nil, errors.New("no such event")
	}
	return topEventReport(0, id, f.state), nil
}

func (f *fakeSource) follow(ctx context.Context, after uint64, each func(api.FollowedEvent)) error {
	f.mu.Lock()
	f.after = append(f.after, after)
	f.mu.Unlock()
	each(api.FollowedEvent{})
	for {
		select {
		case e := <-f.stream:
			if e.EventReport == nil {
				return errors.New("the agent has ended the stream")
			}
			each(e)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func topEventReport(seq uint64, id string, state api.OutcomeState) *api.EventReport {
	return &api.EventReport{Seq: seq, ID: id, Time: longAgo(), Type: "user", Name: "kong", Targets: map[string]api.OutcomeReport{"a": {State: state}}}
}

// topBubble runs "agentctl top" in a bubble. The function passes time, and sees what shows.
func topBubble(t *testing.T, source *fakeSource, do func(term *fakeTerminal, pass func(time.Duration))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		source.stream = make(chan api.FollowedEvent)
		term := &fakeTerminal{keys: make(chan screen.Key), width: 80, height: 24}
		ended := make(chan error)
		go func() { ended <- newTop("127.0.0.1:7374", time.Local).run(t.Context(), term, source) }()
		pass := func(d time.Duration) { time.Sleep(d + time.Millisecond); synctest.Wait() }
		pass(topEvery)
		do(term, pass)
		term.keys <- 'q'
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func shows(t *testing.T, term *fakeTerminal, want string) {
	t.Helper()
	if shown, _ := term.frame(); !strings.Contains(shown, want) {
		t.Errorf("no %q in\n%s", want, shown)
	}
}

// A request that fails is made again, and a hung agent does not keep keys from working.
func TestTopOutlivesItsAgent(t *testing.T) {
	t.Parallel()
	source := &fakeSource{fail: true}
	topBubble(t, source, func(term *fakeTerminal, pass func(time.Duration)) {
		shows(t, term, "cannot ask how the cluster is: no agent answers")
		source.set(false, false, "")
		pass(topPause)
		shows(t, term, "9 members as web1 sees it")
		source.set(false, true, "")
		pass(topPause + lateAnswer + time.Second)
		shows(t, term, "the agent has not answered for 5s; what is shown is of ")
		term.keys <- 't'
		synctest.Wait()
		shows(t, term, "t nodes")
		pass(topTimeout - lateAnswer)
		shows(t, term, "cannot ask how the cluster is: context deadline exceeded")
		source.set(false, false, "")
		pass(topPause + time.Second)
		if shown, _ := term.frame(); strings.Contains(shown, "cannot ask") || strings.Contains(shown, "not answered") {
			t.Errorf("what is over still shows:\n%s", shown)
		}
	})
}

// Events show as they come. One that waits is asked for again, and a stream that ends is
// followed again from where it ended.
func TestTopFollowsEvents(t *testing.T) {
	t.Parallel()
	source := &fakeSource{}
	topBubble(t, source, func(term *fakeTerminal, pass func(time.Duration)) {
		source.stream <- api.FollowedEvent{EventReport: topEventReport(7, "7-0f4b3224a0bfdf43", api.OutcomeWaiting)}
		pass(topEvery)
		shows(t, term, "user:kong  0 bytes  waiting")
		source.set(false, false, api.OutcomeDelivered)
		pass(topPause + topEvery)
		shows(t, term, "user:kong  0 bytes  delivered")
		source.stream <- api.FollowedEvent{}
		pass(topEvery)
		shows(t, term, "events are missing: the agent has ended the stream")
		pass(topPause)
		shown, _ := term.frame()
		if _, after := source.was(); strings.Contains(shown, "events are missing") || !slices.Equal(after, []uint64{0, 7}) {
			t.Errorf("asked for what is after %v:\n%s", after, shown)
		}
	})
}

// A change of size is drawn at once, without any key, and a screen on which nothing changes
// is drawn once a second.
func TestTopTakesANewSize(t *testing.T) {
	t.Parallel()
	source := &fakeSource{}
	topBubble(t, source, func(term *fakeTerminal, pass func(time.Duration)) {
		term.resize(200, 50)
		pass(topEvery)
		shown, before := term.frame()
		if !strings.Contains(shown, "FLUSHED") || strings.Count(shown, "\n") != 50 {
			t.Errorf("on a large screen\n%s", shown)
		}
		asked, _ := source.was()
		pass(time.Minute)
		if _, now := term.frame(); now-before > 60+2*30 {
			t.Errorf("drawn %d times in a minute in which nothing happened", now-before)
		}
		if now, _ := source.was(); now-asked < 29 || now-asked > 31 {
			t.Errorf("asked %d times in a minute", now-asked)
		}
	})
}

// The terminal may go, and the context may end.
func TestTopEnds(t *testing.T) {
	t.Parallel()
	for _, end := range []func(keys chan screen.Key, cancel func()){
		func(keys chan screen.Key, _ func()) { close(keys) },
		func(_ chan screen.Key, cancel func()) { cancel() },
		func(keys chan screen.Key, _ func()) { keys <- screen.CtrlC },
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			term := &fakeTerminal{keys: make(chan screen.Key), width: 80, height: 24}
			ended := make(chan error)
			go func() { ended <- newTop("x", time.Local).run(ctx, term, &fakeSource{hang: true}) }()
			synctest.Wait()
			end(term.keys, cancel)
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
