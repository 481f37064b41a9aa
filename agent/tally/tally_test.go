package tally

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

type recorder map[string][]float32

func (r recorder) tell(name string, n float32) { r[name] = append(r[name], n) }

func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := recorder{}
		tally := New(got.tell)
		want := func(what string, counts map[string]string) {
			t.Helper()
			tally.mu.Lock() // of tell
			defer tally.mu.Unlock()
			texts := map[string]string{}
			for name, n := range got {
				texts[name] = fmt.Sprint(n)
			}
			if !maps.Equal(texts, counts) {
				t.Errorf("%s: %v, want %v", what, texts, counts)
			}
		}
		tally.Count("a")
		want("alone", map[string]string{"a": "[1]"})
		for range 10 {
			tally.Count("a")
			tally.Count("b")
		}
		want("within the period", map[string]string{"a": "[1]"})
		time.Sleep(Period)
		synctest.Wait()
		want("after it", map[string]string{"a": "[1 10]", "b": "[10]"})
		time.Sleep(Period)
		tally.Count("a")
		want("alone again", map[string]string{"a": "[1 10 1]", "b": "[10]"})
	})
}

// However many names there are, only some are held.
func TestNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := recorder{}
		tally := New(got.tell)
		for i := range 10 * maxNames {
			tally.Count(fmt.Sprint(i))
			tally.mu.Lock()
			n := len(tally.counts)
			tally.mu.Unlock()
			if n >= maxNames {
				t.Fatalf("%d names are held", n)
			}
		}
		time.Sleep(Period)
		synctest.Wait()
		tally.mu.Lock() // of tell
		defer tally.mu.Unlock()
		if len(got) != 10*maxNames {
			t.Errorf("%d of %d are counted", len(got), 10*maxNames)
		}
	})
}

// What is counted often costs nothing but a look at a map.
func TestCountDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tally := New(func(string, float32) {})
		tally.Count("a")
		tally.Count("a")
		if n := testing.AllocsPerRun(1000, func() { tally.Count("a") }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
