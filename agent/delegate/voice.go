package delegate

import "time"

// The ways to ask a member: along a path, or by this node itself.
const (
	itself = 2
	noWay  = -1
)

// mostBusy is how often in a row delegates may be busy, before this node asks by itself.
const mostBusy = 2

// word is what a path has said of a member last.
type word int

const (
	untried   word = iota
	unreached      // the delegate did not reach the member
	open           // the answer may change
	final
)

type saying struct {
	is     word
	shared []byte // of a final answer
}

// voice is what is known of one member's answer.
type voice struct {
	name    string
	said    [2]saying    // by each path
	busy    [3]bool      // is asked this way now
	since   [3]time.Time // it is asked so
	turn    int          // path
	busyFor int          // times in a row that delegates were busy
	doubted bool
	heard   bool // something that counts
	settled bool // something final that counts
}

func (v *voice) begin(way int) {
	v.busy[way], v.since[way] = true, time.Now()
	if way == itself {
		v.busyFor = 0
	} else {
		v.turn = 1 - way
	}
}

// waits tells whether an answer is on its way that matters.
func (v *voice) waits() bool { return !v.settled && v.busy != [3]bool{} }

// next is the path to ask along: the one that was not asked yet, or was not asked last.
func (v *voice) next() int {
	for path, s := range v.said {
		if s.is == untried && v.said[1-path].is != untried {
			return path
		}
	}
	return v.turn
}

// way is how to ask the member now. If few are asked, delegates are not worth it. A delegate
// that has not replied for so long is not waited for.
func (v *voice) way(few bool, patience time.Duration) int {
	now, longest := time.Now(), time.Duration(0)
	for way, busy := range v.busy {
		if !busy {
			continue
		}
		since := now.Sub(v.since[way])
		if way == itself || since < Hedge {
			return noWay
		}
		longest = max(longest, since)
	}
	if few || v.doubtful() || v.busyFor > mostBusy {
		return itself
	}
	for _, path := range []int{v.next(), 1 - v.next()} {
		if !v.busy[path] && v.said[path].is != final {
			return path
		}
	}
	if longest < patience {
		return noWay
	}
	return itself
}

// doubtful tells whether the paths cannot settle this: one does not reach the member, or
// they differ. It stays so, since a liar is not believed later either.
func (v *voice) doubtful() bool {
	a, b := v.said[0].is, v.said[1].is
	v.doubted = v.doubted || a != untried && b != untried && (a != open || b != open)
	return v.doubted
}
