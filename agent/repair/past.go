package repair

import "time"

// maxPast is how many times a past has at most, and pastEvery how far apart they are at
// first. That is a quarter of an hour; with each doubling of the age they are twice as far
// apart.
const (
	maxPast   = 512
	pastEvery = 2 * time.Second
)

// past tells which number a log had come to at earlier times, also where it has let go of
// the events of those times.
type past struct {
	times []pastTime // in order
	every time.Duration
}

type pastTime struct {
	at  time.Time
	seq uint64
}

// add notes that the log had come to a number by now.
func (p *past) add(now time.Time, seq uint64) {
	n := len(p.times)
	if n > 0 && (seq == p.times[n-1].seq || now.Sub(p.times[n-1].at) < max(p.every, pastEvery)) {
		return
	}
	if n == maxPast {
		p.every = 2 * max(p.every, pastEvery)
		kept := p.times[:0]
		for i := 0; i < n; i += 2 {
			kept = append(kept, p.times[i])
		}
		p.times = kept
	}
	p.times = append(p.times, pastTime{now, seq})
}

// headAt gives a number that the log had passed at a time, 0 if that is not known.
func (p *past) headAt(at time.Time) (seq uint64) {
	for _, t := range p.times {
		if t.at.After(at) {
			break
		}
		seq = t.seq
	}
	return seq
}
