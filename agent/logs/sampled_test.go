package logs

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestSampledSaysEachMessageOnceInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		q := Sampled{Logger: slog.New(slog.NewTextHandler(&out, nil))}
		for range 3 {
			q.Log(slog.LevelWarn, "refused", time.Second)
		}
		if !q.Log(slog.LevelWarn, "another", time.Second) {
			t.Error("another message was held back with the first")
		}
		time.Sleep(time.Second)
		if !q.Log(slog.LevelWarn, "refused", time.Second) {
			t.Error("the message was held back for longer than its interval")
		}
		if n := strings.Count(out.String(), "msg=refused"); n != 2 {
			t.Errorf("said %d times, not twice:\n%s", n, out.String())
		}
		if !strings.Contains(out.String(), "lines_left_out=2") {
			t.Errorf("the next line does not say that two were left out:\n%s", out.String())
		}
	})
}

// A failure that goes on is told ever less often, and as often as before once it
// was over.
func TestSampledIntervalsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := Sampled{Logger: slog.New(slog.DiscardHandler)}
		start := time.Now()
		var said []time.Duration
		for time.Since(start) < 5*time.Minute {
			if q.Log(slog.LevelWarn, "refused", time.Second) {
				said = append(said, time.Since(start))
			}
			time.Sleep(500 * time.Millisecond)
		}
		want := []time.Duration{0, 1, 3, 7, 15, 31, 63, 123, 183, 243}
		for i := range want {
			want[i] *= time.Second
		}
		if !slices.Equal(said, want) {
			t.Errorf("said after %v, want %v", said, want)
		}
		time.Sleep(time.Hour)
		q.Log(slog.LevelWarn, "refused", time.Second) // tells what was left out
		time.Sleep(time.Hour)
		q.Log(slog.LevelWarn, "refused", time.Second)
		time.Sleep(time.Second)
		if !q.Log(slog.LevelWarn, "refused", time.Second) {
			t.Error("the interval did not begin anew")
		}
	})
}

// Whatever comes as a kind, a Sampled remembers a few. What is beyond them is still
// said at an interval.
func TestSampledIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := Sampled{Logger: slog.New(slog.DiscardHandler)}
		said := 0
		for i := range 10_000 {
			if q.Log(slog.LevelWarn, Kind(fmt.Sprint("kind ", i)), time.Second) {
				said++
			}
		}
		if len(q.said) > sampledKinds+1 || said != len(q.said) {
			t.Errorf("%d kinds are remembered, %d lines were said; want %d", len(q.said), said, sampledKinds+1)
		}
		time.Sleep(time.Second)
		for _, kind := range []Kind{"kind 0", "another"} {
			if !q.Log(slog.LevelWarn, kind, time.Second) {
				t.Errorf("%s is held back for longer than its interval", kind)
			}
		}
		if q.Log(slog.LevelWarn, "yet another", time.Second) {
			t.Error("kinds beyond those that are remembered do not share an interval")
		}
	})
}
