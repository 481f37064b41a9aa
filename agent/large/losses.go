package large

import (
	"sync"
	"time"
)

const (
	// gatherTime is for how long losses are gathered behind one that was told. Each loss
	// makes a flush of the targets due, and those told together need only one.
	gatherTime = 10 * time.Second
	// gatherMost is how many losses are gathered at most.
	gatherMost = 4096
)

// losses tells of the first loss at once, and of those that follow soon together. The
// zero value is ready.
type losses struct {
	mu      sync.Mutex
	timer   *time.Timer // ends the gathering; nil if there is none
	waiting []loss
	over    bool // each is told at once
}

type loss struct {
	Wanted
	reason string
}

func (l *losses) add(lost loss, tell func(*Wanted, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timer == nil || l.over {
		tell(&lost.Wanted, lost.reason)
		if !l.over {
			l.timer = time.AfterFunc(gatherTime, func() { l.gathered(tell) })
		}
		return
	}
	if l.waiting = append(l.waiting, lost); len(l.waiting) == gatherMost {
		l.tell(tell)
	}
}

// gathered ends the gathering, and begins the next if there was anything.
func (l *losses) gathered(tell func(*Wanted, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over:
	case len(l.waiting) == 0:
		l.timer = nil
	default:
		l.tell(tell)
		l.timer.Reset(gatherTime)
	}
}

// end tells what is gathered, and from then on each loss at once.
func (l *losses) end(tell func(*Wanted, string)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over = true; l.timer != nil {
		l.timer.Stop()
	}
	l.tell(tell)
}

// tell tells of what is gathered. l.mu is held.
func (l *losses) tell(tell func(*Wanted, string)) {
	for i := range l.waiting {
		tell(&l.waiting[i].Wanted, l.waiting[i].reason)
	}
	l.waiting = nil
}
