package agent

import (
	"errors"
	"slices"
	"sync"

	"agentctl/agent/config"
	"agentctl/handler/target"
)

// start has all sinks work, in a part. From then on they can be replaced.
func (ss *sinks) start(p *part) {
	ss.reload.Lock()
	defer ss.reload.Unlock()
	ss.running = p
	for _, s := range ss.list {
		s.start(p)
	}
	ss.forgetTargets(true) // here and not in open: a start that fails changes nothing
}

// freeze ends all changes: the sinks are what they are until the end.
func (ss *sinks) freeze() {
	ss.reload.Lock()
	defer ss.reload.Unlock()
	ss.running = nil
}

// replace serves other targets and scripts from now on. Those that stay the same
// go on undisturbed. First it makes what is new, then it calls before; an error of
// either means that nothing has changed.
func (ss *sinks) replace(set config.Handlers, before func() error) error {
	ss.reload.Lock()
	defer ss.reload.Unlock()
	if ss.running == nil {
		return errors.New("the agent is not running, or ending")
	}
	r, err := ss.prepare(set)
	if err != nil {
		return err
	}
	if err := before(); err != nil {
		return err
	}
	ss.exchange(set, r)
	return nil
}

// replacement is the sinks that a change comes to.
type replacement struct {
	all   []*sink // those of the configuration, in its order
	fresh []*sink // of these, those that are not served yet
	gone  []*sink // served until now, and not by all
}

// prepare makes the sinks for the targets and scripts of set, and takes
// over those that stay the same. It changes nothing. ss.reload is held.
func (ss *sinks) prepare(set config.Handlers) (*replacement, error) {
	n := &replacement{gone: slices.Clone(ss.list)}
	keep := func(t *target.Target, s config.Script) bool {
		i := slices.IndexFunc(n.gone, func(o *sink) bool { return o.serves(t, s) })
		if i < 0 {
			return false
		}
		n.all = append(n.all, n.gone[i])
		n.gone = slices.Delete(n.gone, i, i+1)
		return true
	}
	add := func(o *sink) { n.all, n.fresh = append(n.all, o), append(n.fresh, o) }
	for _, t := range set.Targets {
		if keep(&t, config.Script{}) {
			continue
		}
		o, err := ss.newTarget(t)
		if err != nil {
			return nil, err
		}
		add(o)
	}
	for _, s := range set.Scripts {
		if !keep(nil, s) {
			add(ss.newScript(s))
		}
	}
	return n, nil
}

// exchange serves the targets and scripts of set, by the sinks that were
// prepared for it, from now on. ss.reload is held.
func (ss *sinks) exchange(set config.Handlers, n *replacement) {
	// The new runners first, so that no event falls between an old one and a
	// new one; they queue until they are started.
	ss.cfg.SetRunners(runnersOf(n.all))
	// Each target is on its own: one that takes long to stop keeps no other
	// from being served.
	var work sync.WaitGroup
	gone := n.gone
	for _, o := range n.fresh {
		var was *sink
		if i := slices.IndexFunc(gone, func(old *sink) bool { return o.target != nil && old.target != nil && old.name == o.name }); i >= 0 {
			was = gone[i]
			gone = slices.Concat(gone[:i], gone[i+1:])
		}
		work.Go(func() { ss.takeOver(o, was, set.Native[o.name]) })
	}
	for _, o := range gone {
		ss.relist(o, nil)
		if o.target == nil {
			o.finish() // a script handles what waits for it
		} else {
			work.Go(o.stop)
		}
	}
	work.Wait()
	served := slices.DeleteFunc(slices.Clone(n.all), func(o *sink) bool { return o.target != nil && o.delivery == nil })
	if len(served) < len(n.all) {
		ss.cfg.SetRunners(runnersOf(served))
	}
	ss.mu.Lock()
	ss.list, ss.handlers = served, set
	ss.mu.Unlock()
	ss.forgetTargets(true)
}

// takeOver serves o from now on, in place of was, if that is not nil: a target's
// cursor is open once at a time, so the old delivery ends before the new begins.
func (ss *sinks) takeOver(o, was *sink, inPlaceOf string) {
	if was != nil {
		was.stop()
	}
	if err := ss.openDelivery(o); err != nil { // the target itself is right: the journal is closed
		ss.cfg.Logger.Error("a target cannot be served: reload once more, or start the agent anew", "target", o.name, "error", err)
		ss.relist(was, nil)
		return
	}
	o.start(ss.running)
	ss.relist(was, o)
	if o.target != nil {
		ss.logTarget(*o.target, inPlaceOf)
	} else {
		ss.logScript(o.script)
	}
}

// relist takes was off the list of sinks, and puts o there in its place;
// either may be nil. The list itself is made anew, as others may be reading it.
func (ss *sinks) relist(was, o *sink) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	list := slices.Clone(ss.list)
	i := slices.Index(list, was)
	if i >= 0 {
		list = slices.Delete(list, i, i+1)
	} else {
		i = len(list)
	}
	if o != nil {
		list = slices.Insert(list, i, o)
	}
	ss.list = list
}
