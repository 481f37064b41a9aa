package link

import (
	"bufio"
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// In any order of messages, links that break, and holds that end, each message is acknowledged
// when it and all before it are settled: not before, at once where none of them is to be
// acknowledged soon, and else after the delay at most.
func TestAcknowledgementsInAnyOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		rapid.Check(struct{ rapid.TB }{t}, acknowledgements) // hides Deadline, which a bubble has not
	})
}

// ackedMessage is a message of the model.
type ackedMessage struct {
	due    time.Time // for its acknowledgement, if it is settled
	settle func()    // nil if it is settled
}

// ackedStream is a stream of the model, and what was acknowledged on it last.
type ackedStream struct {
	*acker
	came uint64
	said atomic.Uint64
}

func (s *ackedStream) Write(b []byte) (int, error) {
	n, err := readNumber(bufio.NewReader(bytes.NewReader(b)))
	if err != nil || n <= s.said.Load() {
		return 0, fmt.Errorf("%d is acknowledged after %d: %w", n, s.said.Load(), err)
	}
	s.said.Store(n)
	return len(b), nil
}

func acknowledgements(t *rapid.T) {
	src := &source{turn: make(chan struct{}, 1)}
	var streams []*ackedStream
	open := func(first uint64) {
		s := &ackedStream{came: first - 1}
		s.said.Store(first - 1)
		s.acker = newAcker(src, s, AckDelay)
		s.begin(first)
		streams = append(streams, s)
	}
	current := func() *ackedStream { return streams[len(streams)-1] }
	open(1)
	var all []*ackedMessage
	t.Repeat(map[string]func(*rapid.T){
		"message": func(t *rapid.T) {
			s, ack, m := current(), Ack{}, &ackedMessage{due: time.Now()}
			s.came++
			if s.came > uint64(len(all)) {
				switch rapid.IntRange(0, 3).Draw(t, "ack") {
				case 0:
					ack, m.settle = Held()
				case 1:
					ack, m.due = Soon(), m.due.Add(AckDelay)
				case 2:
					var settle func()
					ack, settle = Held()
					settle() // before Deliver has returned
				}
				all = append(all, m)
				src.delivered(s.came, ack)
			}
			if err := s.acker.came(s.came, ack.soon); err != nil {
				t.Fatal(err)
			}
		},
		"settle": func(t *rapid.T) {
			if len(all) == 0 {
				return
			}
			m := all[rapid.IntRange(0, len(all)-1).Draw(t, "message")]
			if m.settle != nil {
				m.settle()
				m.due, m.settle = time.Now(), nil
			}
		},
		"break": func(t *rapid.T) {
			if rapid.Bool().Draw(t, "the old one ends") {
				current().end()
			}
			open(current().said.Load() + 1)
		},
		"time": func(t *rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(0, 600).Draw(t, "ms")) * time.Millisecond)
		},
		"": func(t *rapid.T) {
			synctest.Wait()
			settled, due := uint64(0), uint64(0)
			for i, m := range all {
				if m.settle != nil {
					break
				}
				settled = uint64(i + 1)
				if !m.due.After(time.Now()) {
					due = settled
				}
			}
			for _, s := range streams {
				if n := s.said.Load(); n > min(settled, s.came) {
					t.Fatalf("message %d is acknowledged, %d are settled and %d came", n, settled, s.came)
				}
			}
			s := current()
			if n := s.said.Load(); n < min(due, s.came) {
				t.Fatalf("message %d is acknowledged, and %d is due of %d that came", n, due, s.came)
			}
		},
	})
	for _, s := range streams {
		s.end()
	}
}
