package logs

import "time"

// row is what Nth remembers of one kind of line.
type row struct {
	next uint64 // the line to be logged next, whatever the time
	last time.Time
}

// Nth thins out the lines of something that goes on and is counted. It tells
// whether the nth line of its kind is to be logged: the 1st, 2nd, 4th, 8th and
// so on, and otherwise one after each silence, unless that is 0. The caller logs
// the line.
func (q *Sampled) Nth(kind Kind, n uint64, silence time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, known := q.rows[kind]; !known && len(q.rows) >= sampledKinds {
		kind = ""
	}
	r, now := q.rows[kind], time.Now()
	if n < r.next && (silence == 0 || now.Sub(r.last) < silence) {
		return false
	}
	if q.rows == nil {
		q.rows = make(map[Kind]row)
	}
	q.rows[kind] = row{next: 2 * n, last: now}
	return true
}

// Restart is for a kind whose count begins anew, as what went on is over.
func (q *Sampled) Restart(kind Kind) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.rows, kind)
}
