package delegate

import (
	"context"
	"errors"
	"net"
	"time"

	"agentctl/agent/admission"
)

const (
	// longest is how long a delegate works for one request.
	longest = time.Second
	// travel is what its reply may take beyond that.
	travel = 500 * time.Millisecond
	// handledAtOnce is how many requests a node works for, and handledEach for one host.
	handledAtOnce, handledEach = 32, 8
	// heldForName is how long a request keeps its place for each name: that bounds how
	// many names are asked in a second.
	heldForName = time.Millisecond
)

// Others are the other members at a moment.
type Others interface {
	// Ask asks a member by this node's own link. An error says that the member was not
	// reached, is not known here, or cannot answer.
	Ask(ctx context.Context, name string, question []byte) (Answer, error)
	// Pass brings a request to a member's [Delegates.Handle], and returns its reply.
	Pass(ctx context.Context, name string, req []byte) ([]byte, error)
}

// Config is what [New] needs.
type Config struct {
	Self string // this node's name
	// Version begins each request and each reply, and tells them from other messages of
	// the same kind.
	Version byte
	// Here is this node's own answer. It may wait until its context ends.
	Here func(ctx context.Context, question []byte) (Answer, error)
	// Others are asked for another node; it is called for each request.
	Others func() Others
	// Handled is told what came of each request: answered, busy or refused.
	Handled func(result string)
}

// Delegates asks members by delegates, and is one for others. Its methods are safe for
// concurrent use.
type Delegates struct {
	cfg      Config
	choice   *choice
	requests *admission.Share
}

// New makes Delegates.
func New(cfg Config) *Delegates {
	return &Delegates{cfg: cfg, choice: newChoice(cfg.Self), requests: admission.NewShare(handledAtOnce, handledEach)}
}

// Handle asks the members that a request names, and replies with what they say. It came
// from this address, whose host has a share of what this node does for others.
func (d *Delegates) Handle(ctx context.Context, from string, raw []byte) ([]byte, error) {
	began := time.Now()
	r, err := decodeRequest(raw)
	if err != nil {
		d.cfg.Handled("refused")
		return nil, err
	}
	client, _, err := net.SplitHostPort(from)
	if err != nil {
		client = from
	}
	leave, ok := d.requests.Enter(client)
	if !ok {
		d.cfg.Handled("busy")
		return encodeBusy(d.cfg.Version), nil
	}
	asks := len(r.names)
	if r.splits() {
		asks = groupsFor(asks)
	}
	defer func() { time.AfterFunc(time.Duration(asks)*heldForName-time.Since(began), leave) }()
	ctx, cancel := context.WithTimeout(ctx, r.wait)
	defer cancel()
	s := sweep{d: d, request: &r, others: d.cfg.Others(), slots: make(chan struct{}, Few), heard: make(chan heard, len(r.names))}
	answers := s.run(ctx)
	d.cfg.Handled("answered")
	return encodeReply(d.cfg.Version, answers), nil
}

// sweep asks the names of a request once.
type sweep struct {
	d       *Delegates
	request *request
	others  Others
	slots   chan struct{} // holds a value for each member that is asked
	heard   chan heard    // has room for all
}

// heard is what is known of a name of the request, in the end.
type heard struct {
	at     int
	answer *Answer // nil: it was not reached
}

// run asks, and returns what it has heard once it is not worth waiting for the rest.
func (s *sweep) run(ctx context.Context) []*Answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	s.begin(ctx)
	names := len(s.request.names)
	answers := make([]*Answer, names)
	var late <-chan time.Time
	size := 0
	for got := 0; got < names; {
		select {
		case h := <-s.heard:
			if h.answer != nil && size+h.answer.size() <= maxAnswers { // else it would not fit
				answers[h.at] = h.answer
				size += h.answer.size()
			}
			if got++; late == nil && 4*got >= 3*names {
				late = time.After(3*time.Since(began) + 50*time.Millisecond)
			}
		case <-late:
			return answers
		case <-ctx.Done():
			return answers
		}
	}
	return answers
}

// begin has all names asked. It does not wait for them.
func (s *sweep) begin(ctx context.Context) {
	r := s.request
	at := make(map[string]int, len(r.names))
	for i, name := range r.names {
		if _, twice := at[name]; twice {
			s.heard <- heard{i, nil}
			continue
		}
		at[name] = i
	}
	if !r.splits() {
		for name, i := range at {
			go s.one(ctx, name, i)
		}
		return
	}
	names := make([]string, 0, len(at))
	for name := range at {
		names = append(names, name)
	}
	sub := *r
	sub.level++
	sub.wait = r.wait * 3 / 4
	for _, g := range s.d.choice.split(names, names, sub.level, r.path) {
		go func() {
			sub := sub
			sub.names = g.names
			answers, _, err := s.d.pass(ctx, s.others, &sub, g.delegates)
			for i, name := range g.names {
				switch {
				case err != nil:
					go s.one(ctx, name, at[name])
				case answers != nil:
					s.heard <- heard{at[name], answers[i]}
				default:
					s.heard <- heard{at[name], nil}
				}
			}
		}()
	}
}

// one asks one member, or says what this node itself has to say.
func (s *sweep) one(ctx context.Context, name string, i int) {
	h := heard{at: i}
	defer func() { s.heard <- h }()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return
	}
	ask := func() (Answer, error) { return s.others.Ask(ctx, name, s.request.question) }
	if name == s.d.cfg.Self {
		ask = func() (Answer, error) { return s.d.cfg.Here(ctx, s.request.question) }
	}
	if a, err := ask(); err == nil && a.fits() {
		h.answer = &a
	}
}

// errNobody says that no delegate took a request: its names are to be asked without one.
var errNobody = errors.New("delegate: none took the request")

// pass has one of the delegates ask, and tells which one it was. The second is tried if
// the first does not take the request. The error is [errBusy] if one of them may take it
// soon. There are no answers if a delegate is silent.
func (d *Delegates) pass(ctx context.Context, others Others, r *request, delegates []string) (answers []*Answer, by string, err error) {
	if len(r.names) < worthIt || len(r.names) > maxNames || len(r.question) > maxQuestion {
		return nil, "", errNobody
	}
	raw := r.encode(d.cfg.Version)
	if len(raw) > maxRequest {
		return nil, "", errNobody
	}
	failed := errNobody
	for _, by := range delegates {
		began := time.Now()
		within, cancel := context.WithTimeout(ctx, r.wait+travel)
		reply, err := others.Pass(within, by, raw)
		silent := within.Err() != nil
		cancel()
		if err == nil {
			if answers, err = decodeReply(d.cfg.Version, reply, len(r.names)); err == nil {
				return answers, by, nil
			}
			if errors.Is(err, errBusy) {
				failed = err
				continue
			}
		}
		if ctx.Err() == nil || time.Since(began) >= 2*Hedge {
			d.choice.leave(by)
		}
		if silent {
			return nil, "", nil
		}
	}
	return nil, "", failed
}
