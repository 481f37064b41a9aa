package handler

import "time"

// every thins out log lines of something that goes on: it lets the 1st, 2nd,
// 4th, 8th and so on pass, and otherwise one a minute.
type every struct {
	next int
	last time.Time
}

func (v *every) pass(n int, now time.Time) bool {
	if n < v.next && now.Sub(v.last) < time.Minute {
		return false
	}
	v.next, v.last = 2*n, now
	return true
}
