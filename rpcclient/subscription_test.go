package rpcclient

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"agentctl/rpcclient/wire"
)

// log writes a record of a monitor.
func (p *peer) log(seq uint64, line string) { p.answer(seq, "", wire.LogRecord{Log: line}) }

// collect runs over a stream and gives each step as a text.
func collect[T any](seq func(func(T, error) bool)) (steps []string, last error) {
	seq(func(rec T, err error) bool {
		if last = err; err != nil {
			steps = append(steps, "error")
		} else {
			steps = append(steps, fmt.Sprint(rec))
		}
		return true
	})
	return steps, last
}

func TestBreakStopsStreamAndLeavesClientUsable(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := play(t, Config{}, func(p *peer) {
			seq := p.want(wire.Monitor, nil)
			p.answer(seq, "", nil)
			p.log(seq, "one")
			p.log(seq, "two")
			var stop wire.StopRequest
			stopSeq := p.want(wire.Stop, &stop)
			if stop.Stop != seq {
				t.Errorf("stop of %d, want %d", stop.Stop, seq)
			}
			p.log(seq, "on its way") // what stock agents do
			p.answer(stopSeq, "", nil)
			p.log(seq, "even later")
			p.answer(p.want(wire.Event, nil), "", nil)
			p.drain()
		})
		lines, err := c.Monitor(t.Context(), "info")
		if err != nil {
			t.Fatal(err)
		}
		for line, err := range lines {
			if line != "one" || err != nil {
				t.Error(line, err)
			}
			break
		}
		for range lines {
			t.Error("a stream that was stopped goes on")
		}
		if err := event(t.Context(), c); err != nil {
			t.Error(err)
		}
		synctest.Wait() // a call is forgotten a moment after its answer is handed over
		if n := waiting(c); n != 0 {
			t.Errorf("%d are still kept", n)
		}
	})
}

func TestContextStopsStream(t *testing.T) {
	for _, looping := range []bool{true, false} {
		t.Run(fmt.Sprint("looping ", looping), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := play(t, Config{}, func(p *peer) {
					p.answer(p.want(wire.Stream, nil), "", nil)
					p.answer(p.want(wire.Stop, new(wire.StopRequest)), "", nil)
					p.answer(p.want(wire.Event, nil), "", nil)
					p.drain()
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				records, err := c.Stream(ctx, "*")
				if err != nil {
					t.Fatal(err)
				}
				if looping {
					go func() {
						synctest.Wait()
						cancel()
					}()
					if steps, err := collect(records); len(steps) != 1 || !errors.Is(err, context.Canceled) {
						t.Error(steps, err)
					}
				} else {
					cancel() // nobody ever looks at records
					synctest.Wait()
				}
				if err := event(t.Context(), c); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestStreamCancelledBeforeItsAnswer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := play(t, Config{}, func(p *peer) {
			seq := p.want(wire.Stream, nil)
			cancel()
			var stop wire.StopRequest
			stopSeq := p.want(wire.Stop, &stop)
			p.answer(seq, "", nil)
			p.answer(seq, "", wire.UserEventRecord{Event: "user", Name: "late"})
			p.answer(stopSeq, "", nil)
			p.answer(p.want(wire.Event, nil), "", nil)
			p.drain()
		})
		_, err := c.Stream(ctx, "*")
		wantKind(t, err, "lost", context.Canceled)
		if err := event(t.Context(), c); err != nil {
			t.Error(err)
		}
		synctest.Wait() // a call is forgotten a moment after its answer is handed over
		if n := waiting(c); n != 0 {
			t.Errorf("%d are still kept", n)
		}
	})
}

func TestSlowConsumer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		more := make(chan bool)
		c := play(t, Config{StreamBuffer: 3}, func(p *peer) {
			seq := p.want(wire.Monitor, nil)
			p.answer(seq, "", nil)
			for n := range 10 {
				p.log(seq, fmt.Sprint(n))
			}
			p.answer(p.want(wire.Event, nil), "", nil)
			<-more
			p.log(seq, "later")
			p.conn.Close()
		})
		lines, err := c.Monitor(t.Context(), "info")
		if err != nil {
			t.Fatal(err)
		}
		// Nobody takes records, and a call is answered all the same.
		if err := event(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		var steps []string
		for line, err := range lines {
			over, ok := errors.AsType[*OverflowError](err)
			switch {
			case ok && errors.Is(err, ErrStreamOverflow):
				line = fmt.Sprint(over.Lost, " lost")
				close(more)
			case err != nil:
				line = "end"
				if !errors.Is(err, errConnClosed) || !strings.Contains(err.Error(), "monitor from the agent at test:1 ended") {
					t.Error(err)
				}
			}
			steps = append(steps, line)
		}
		if want := []string{"0", "1", "2", "7 lost", "later", "end"}; !slices.Equal(steps, want) {
			t.Errorf("%q, want %q", steps, want)
		}
	})
}

func TestStreamBytesAreBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n, size = 10, 3 << 20 // 5 of them fit streamBytes
		more := make(chan bool)
		c := play(t, Config{}, func(p *peer) {
			seq := p.want(wire.Stream, nil)
			p.answer(seq, "", nil)
			send := func() {
				for range n {
					p.answer(seq, "", wire.UserEventRecord{Event: "user", Payload: make([]byte, size)})
				}
			}
			send()
			<-more
			send()
			p.conn.Close()
		})
		records, err := c.Stream(t.Context(), "*")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var steps []string
		for rec, err := range records {
			switch over, ok := errors.AsType[*OverflowError](err); {
			case ok:
				steps = append(steps, fmt.Sprint(over.Lost, " lost"))
				if len(steps) == 6 {
					close(more)
					<-c.Done() // the queue is empty and fills again
				}
			case err == nil:
				steps = append(steps, fmt.Sprint(len(rec.Payload)/size))
			}
		}
		half := []string{"1", "1", "1", "1", "1", "5 lost"}
		if want := slices.Concat(half, half); !slices.Equal(steps, want) {
			t.Errorf("%q, want %q", steps, want)
		}
	})
}

func TestStreamRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := play(t, Config{}, func(p *peer) {
			p.answer(p.want(wire.Stream, nil), wire.ErrInvalidFilter, nil)
			seq := p.want(wire.Monitor, nil)
			p.answer(seq, "", nil)
			p.answer(seq, "no more logs", nil)
			p.answer(p.want(wire.Event, nil), "", nil)
			p.want(wire.Stream, nil)
			p.conn.Close()
		})
		_, err := c.Stream(t.Context(), "nonsense")
		wantKind(t, err, "remote", ErrInvalidFilter)
		lines, err := c.Monitor(t.Context(), "info")
		if err != nil {
			t.Fatal(err)
		}
		_, err = collect(lines)
		wantKind(t, err, "remote")
		if err := event(t.Context(), c); err != nil {
			t.Error(err)
		}
		_, err = c.Stream(t.Context(), "*")
		wantKind(t, err, "lost", errConnClosed)
	})
}

func TestQueryEndsAtDone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := play(t, Config{}, func(p *peer) {
			seq := p.want(wire.Query, nil)
			p.answer(seq, "", nil)
			p.answer(seq, "", wire.QueryRecord{Type: wire.QueryAck, From: "a"})
			p.answer(seq, "", wire.QueryRecord{Type: wire.QueryResponse, From: "b", Payload: []byte("x")})
			p.answer(seq, "", wire.QueryRecord{Type: wire.QueryDone})
			p.answer(p.want(wire.Event, nil), "", nil) // and no stop before it
			p.drain()
		})
		answers, err := c.Query(t.Context(), wire.QueryRequest{Name: "q"})
		if err != nil {
			t.Fatal(err)
		}
		steps, err := collect(answers)
		if want := []string{"{ack a []}", "{response b [120]}"}; !slices.Equal(steps, want) || err != nil {
			t.Errorf("%q %v, want %q", steps, err, want)
		}
		if err := event(t.Context(), c); err != nil {
			t.Error(err)
		}
		synctest.Wait() // a call is forgotten a moment after its answer is handed over
		if n := waiting(c); n != 0 {
			t.Errorf("%d are still kept", n)
		}
	})
}

func TestCloseEndsStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := play(t, Config{}, func(p *peer) {
			p.answer(p.want(wire.Stream, nil), "", nil)
			p.drain()
		})
		records, err := c.Stream(t.Context(), "*")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			synctest.Wait()
			c.Close()
		}()
		if steps, err := collect(records); len(steps) != 1 || !errors.Is(err, ErrClosed) {
			t.Error(steps, err)
		}
	})
}
