package logs

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestNthLetsPowersOfTwoPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Sampled
		passed := func(silence, each time.Duration) (all []uint64) {
			for n := range uint64(100) {
				if s.Nth("failing", n+1, silence) {
					all = append(all, n+1)
				}
				time.Sleep(each)
			}
			s.Restart("failing")
			return all
		}
		powers := []uint64{1, 2, 4, 8, 16, 32, 64}
		if got := passed(time.Minute, 0); !slices.Equal(got, powers) {
			t.Errorf("at once: %v, want %v", got, powers)
		}
		if got := passed(0, time.Hour); !slices.Equal(got, powers) {
			t.Errorf("without a silence: %v, want %v", got, powers)
		}
		// After 64 comes the first that is a minute later, and so on.
		if got, want := passed(time.Minute, 10*time.Second), []uint64{1, 2, 4, 8, 14, 20, 26, 32, 38, 44, 50, 56, 62, 68, 74, 80, 86, 92, 98}; !slices.Equal(got, want) {
			t.Errorf("in a row of ten seconds each: %v, want %v", got, want)
		}
	})
}

// The same number may come more than once, as several fail at the same time.
func TestNthOfTheSameNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Sampled
		if !s.Nth("failing", 1, time.Minute) || s.Nth("failing", 1, time.Minute) {
			t.Error("the first did not pass once")
		}
		if !s.Nth("other", 1, time.Minute) {
			t.Error("another kind was held back")
		}
		s.Restart("failing")
		if !s.Nth("failing", 1, time.Minute) {
			t.Error("the first of a new row did not pass")
		}
	})
}
