package delegate

import (
	"bytes"
	"context"
	"sync"
	"time"
)

// Hedge is how long a member that is asked is not asked another way.
const Hedge = 200 * time.Millisecond

// mostPatience is how long a delegate is waited for at most, if there is another way.
const mostPatience = 4 * Hedge

// Inquiry is one question to many members. Its methods are safe for concurrent use.
type Inquiry struct {
	delegates *Delegates
	question  []byte
	final     func(Answer) bool
	heard     func(name string, a Answer)
	slots     chan struct{} // holds a value for each member that this node began to ask just now
	asking    sync.WaitGroup

	mu        sync.Mutex
	voices    map[string]*voice
	waiting   int           // members that are asked and not settled
	nothing   chan struct{} // closed once there are none; nil: nobody waits for that
	replies   int           // of delegates
	replyTime time.Duration // of all replies together
	byItself  int           // members that this node asked since Asked
	oneSided  bool          // the first path has passed on a final answer since OneSided
}

// Inquire begins an inquiry, and asks nobody yet. A final answer is one that does not
// change any more. The function heard is told what delegates pass on: of final answers
// only those that count. It must not call the inquiry.
func (d *Delegates) Inquire(question []byte, final func(Answer) bool, heard func(name string, a Answer)) *Inquiry {
	return &Inquiry{
		delegates: d, question: question, final: final, heard: heard,
		slots: make(chan struct{}, Few), voices: map[string]*voice{},
	}
}

// Round is what an inquiry asks at a time.
type Round struct {
	Names  []string // to be asked, by delegates if they are many
	Itself []string // to be asked without delegates
	Pool   []string // members that may be delegates
	// Ask asks a member without a delegate. The function that it returns notes what came
	// of that, and tells whether it is final. It must not call the inquiry.
	Ask    func(ctx context.Context, name string) (note func() (final bool))
	Others Others
}

// Round asks each member once, unless it is asked already. It does not wait.
func (q *Inquiry) Round(ctx context.Context, r Round) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ways [3][]string
	few, patience := len(r.Names) <= Few, q.patienceLocked()
	for _, name := range r.Names {
		if w := q.voiceLocked(name).way(few, patience); w != noWay {
			ways[w] = append(ways[w], name)
		}
	}
	for _, name := range r.Itself {
		if v := q.voiceLocked(name); !v.busy[itself] {
			ways[itself] = append(ways[itself], name)
		}
	}
	q.itselfLocked(ctx, &r, ways[itself])
	for path, names := range ways[:itself] {
		if len(names) == 0 {
			continue
		}
		for _, g := range q.delegates.choice.split(names, r.Pool, 0, path) {
			if len(g.names) > 0 {
				q.byDelegateLocked(ctx, &r, path, g)
			}
		}
	}
}

// patienceLocked is how long a delegate may take before this node asks its members by
// itself. Others show how far away everybody is.
func (q *Inquiry) patienceLocked() time.Duration {
	if q.replies == 0 {
		return mostPatience
	}
	mean := q.replyTime / time.Duration(q.replies)
	return min(max(Hedge, 3*mean+50*time.Millisecond), mostPatience)
}

// voiceLocked is what is known of a member's answer. If the member had a final one and is
// to be asked all the same, that one is forgotten.
func (q *Inquiry) voiceLocked(name string) *voice {
	v := q.voices[name]
	if v == nil || v.settled {
		v = &voice{name: name}
		q.voices[name] = v
	}
	return v
}

// itselfLocked asks members without delegates.
func (q *Inquiry) itselfLocked(ctx context.Context, r *Round, names []string) {
	for _, name := range names {
		v := q.voiceLocked(name)
		q.changeLocked(v, func() { v.begin(itself) })
		q.byItself++
		q.asking.Go(func() {
			q.slots <- struct{}{}
			leave := sync.OnceFunc(func() { <-q.slots })
			late := time.AfterFunc(Hedge, leave) // those that hang do not keep the others waiting
			note := r.Ask(ctx, name)
			late.Stop()
			leave()
			q.mu.Lock()
			defer q.mu.Unlock()
			q.changeLocked(v, func() {
				v.busy[itself] = false
				if !v.settled {
					v.settled, v.heard = note(), true
				}
			})
		})
	}
}

// byDelegateLocked has a group asked along a path.
func (q *Inquiry) byDelegateLocked(ctx context.Context, r *Round, path int, g group) {
	voices := make([]*voice, len(g.names))
	for i, name := range g.names {
		voices[i] = q.voiceLocked(name)
		q.changeLocked(voices[i], func() { voices[i].begin(path) })
	}
	q.asking.Go(func() {
		req := request{path: path, wait: longest, question: q.question, names: g.names}
		began := time.Now()
		answers, by, err := q.delegates.pass(ctx, r.Others, &req, g.delegates)
		q.mu.Lock()
		defer q.mu.Unlock()
		if answers != nil {
			q.replies++
			q.replyTime += time.Since(began)
		}
		for i, v := range voices {
			if err == errNobody && !v.settled && !v.busy[itself] {
				q.itselfLocked(ctx, r, []string{v.name})
			}
			q.changeLocked(v, func() {
				v.busy[path] = false
				switch {
				case err == errBusy:
					v.busyFor++
				case answers != nil && !v.settled:
					v.busyFor = 0
					q.hearLocked(v, path, answers[i], by)
				}
			})
		}
	})
}

// hearLocked notes what a delegate has passed on, nil if it did not reach the member.
func (q *Inquiry) hearLocked(v *voice, path int, a *Answer, by string) {
	said, other := &v.said[path], &v.said[1-path]
	own := by == v.name // the delegate speaks for itself, over the asker's own link
	switch {
	case a == nil:
		*said = saying{is: unreached}
		return
	case !q.final(*a):
		*said = saying{is: open}
	case own || other.is == final && bytes.Equal(other.shared, a.Shared):
		v.settled = true
	default:
		*said = saying{final, a.Shared}
		if other.is == open { // it was so before
			*other = saying{}
		}
		q.oneSided = q.oneSided || other.is == untried
		return
	}
	v.heard = true
	q.heard(v.name, *a)
}

// changeLocked changes what is known of a member, and tells if nothing is waited for then.
func (q *Inquiry) changeLocked(v *voice, change func()) {
	if v.waits() {
		q.waiting--
	}
	change()
	if v.waits() {
		q.waiting++
	}
	if q.waiting == 0 && q.nothing != nil {
		close(q.nothing)
		q.nothing = nil
	}
}

// Idle is closed once no member is asked whose answer may still change. A delegate may
// still be silent then.
func (q *Inquiry) Idle() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.nothing == nil {
		q.nothing = make(chan struct{})
	}
	idle := q.nothing
	if q.waiting == 0 {
		close(idle)
		q.nothing = nil
	}
	return idle
}

// Wait waits until nothing is under way any more. The contexts of the rounds end before.
func (q *Inquiry) Wait() { q.asking.Wait() }

// Asked is how many members this node has asked without delegates since the last call.
func (q *Inquiry) Asked() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.byItself
	q.byItself = 0
	return n
}

// OneSided tells whether one path has passed on final answers since the last call, on which
// the other path has not been asked yet. Another round soon makes them count.
func (q *Inquiry) OneSided() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	yes := q.oneSided
	q.oneSided = false
	return yes
}

// Heard tells whether anything that counts is known of a member.
func (q *Inquiry) Heard(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	v := q.voices[name]
	return v != nil && v.heard
}

// Hearsay tells whether a member's final answer was passed on by one path alone.
func (q *Inquiry) Hearsay(name string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	v := q.voices[name]
	return v != nil && !v.settled && (v.said[0].is == final || v.said[1].is == final)
}
