package journal

import (
	"fmt"
	"testing"

	"agentctl/scripts/testkit"
)

func TestSpans(t *testing.T) {
	var s spans
	for _, r := range []Span{{5, 6}, {9, 9}, {7, 7}, {1, 2}, {20, 30}, {8, 25}, {40, 40}} {
		s.add(r)
	}
	testkit.Want(t, "added", fmt.Sprint(s), fmt.Sprint(spans{{1, 2}, {5, 30}, {40, 40}}))
	s.remove(1)
	s.remove(10)
	s.remove(40)
	s.remove(50)
	testkit.Want(t, "removed", fmt.Sprint(s), fmt.Sprint(spans{{2, 2}, {5, 9}, {11, 30}}))
	testkit.Want(t, "has", []bool{s.has(1), s.has(2), s.has(10), s.has(11), s.has(31)}, []bool{false, true, false, true, false})
	s.add(Span{40, 41})
	s.squeeze(4)
	testkit.Want(t, "not squeezed", len(s), 4)
	s.add(Span{60, 60})
	s.squeeze(4)
	testkit.Want(t, "squeezed", fmt.Sprint(s), fmt.Sprint(spans{{2, 2}, {5, 30}, {40, 41}, {60, 60}}))
	s.trim(12)
	testkit.Want(t, "trimmed", fmt.Sprint(s), fmt.Sprint(spans{{5, 30}, {40, 41}, {60, 60}}))
}
