package delegate

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Everybody is in one group, no group is too large, and no delegate is on both paths.
func TestGroups(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 65, 200, 1000, 10_000, 40_000} {
		c := newChoice("gateway-00000")
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("gateway-%05d", i))
		}
		var delegates [2][]string
		for path := range 2 {
			seen := 0
			for _, g := range c.split(names, names, 0, path) {
				seen += len(g.names)
				if len(g.names) > maxNames {
					t.Errorf("%d names: a group has %d", n, len(g.names))
				}
				if len(g.names) < len(names) && n < 10_000 && n > 64 && len(g.names) > Few+40 {
					t.Errorf("%d names: a group has %d", n, len(g.names))
				}
				for _, sub := range c.split(g.names, g.names, 1, path) {
					if len(sub.names) > 2*Few {
						t.Errorf("%d names: a group of a group has %d", n, len(sub.names))
					}
					delegates[path] = append(delegates[path], sub.delegates...)
				}
				delegates[path] = append(delegates[path], g.delegates...)
				if n > 1 && len(g.delegates) == 0 || slices.Contains(g.delegates, "gateway-00000") {
					t.Errorf("%d names: delegates %v", n, g.delegates)
				}
			}
			if seen != n {
				t.Errorf("%d names, and %d in groups", n, seen)
			}
		}
		for _, name := range delegates[0] {
			if slices.Contains(delegates[1], name) {
				t.Errorf("%s is on both paths", name)
			}
		}
	}
}

// The two paths rest on this function, so it is the same in all versions.
func TestTheHashStays(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]uint64{"": 0xefd01f60ba992926, "a": 0x82a2a958a9bece5b, "gateway-1": 0xc012f81891cb0bab} {
		if got := hash(name); got != want {
			t.Errorf("%q: %#x, want %#x", name, got, want)
		}
	}
}

// Delegates stay the same while members do, whoever is still open. One that was left out
// comes back.
func TestDelegatesStay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newChoice("gateway-00000")
		var names []string
		for i := range 1000 {
			names = append(names, fmt.Sprintf("gateway-%05d", i))
		}
		first := c.split(names, names, 0, 1)
		some := c.split(names[:100], names, 0, 1)
		for i := range first {
			if !slices.Equal(first[i].delegates, some[i].delegates) {
				t.Errorf("group %d: %v, then %v", i, first[i].delegates, some[i].delegates)
			}
		}
		out := first[3].delegates
		c.leave(out[0])
		if now := c.split(names, names, 0, 1)[3].delegates; now[0] != out[1] {
			t.Errorf("%v without the first of %v", now, out)
		}
		time.Sleep(leftOut)
		if now := c.split(names, names, 0, 1)[3].delegates; !slices.Equal(now, out) {
			t.Errorf("%v, want %v again", now, out)
		}
		for i := range 3 * maxLeftOut {
			c.leave(fmt.Sprint(i))
		}
		if len(c.leftOut) > maxLeftOut {
			t.Errorf("%d are remembered", len(c.leftOut))
		}
	})
}
