package agent

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"agentctl/agent/config"
	"agentctl/handler/target"
)

// Reload takes over the event handlers, targets, tags and log level of another
// configuration, with its secrets and certificates. What has not changed goes on
// undisturbed; the events that wait for a target that is kept, even if changed,
// stay waiting for it; those for a target that is gone are kept for the journal's
// age. Other settings need a restart: it logs those that differ.
//
// An error means that nothing has changed. Should a target fail to be served all
// the same, that is logged, and the others are served. Safe for concurrent use.
func (a *Agent) Reload(c *config.Config) error {
	set := c.Handlers
	a.reloadMu.Lock()
	defer a.reloadMu.Unlock()
	if a.delivering == nil {
		return errors.New("the agent is not running, or ending")
	}
	outlets, err := a.prepareOutlets(set)
	if err != nil {
		return err
	}
	// The last that can fail. Stored tags, which clients may have changed since,
	// rule over those given.
	if c.TagsFile == "" {
		if err := a.replaceTags(c.NodeTags); err != nil {
			return fmt.Errorf("tags: %w", err)
		}
	}
	for _, w := range c.Warnings {
		a.logger.Warn(w)
	}
	a.replaceOutlets(set, outlets)
	a.hub.SetLevel(c.Level)
	a.warnOfRestart(c)
	a.logger.Info("configuration reloaded", "targets", len(set.Targets), "scripts", len(set.Scripts))
	return nil
}

// replaceTags sets this node's tags, where they differ.
func (a *Agent) replaceTags(tags map[string]string) error {
	a.tagsMu.Lock()
	defer a.tagsMu.Unlock()
	if maps.Equal(a.serf.LocalMember().Tags, tags) {
		return nil
	}
	return a.serf.SetTags(maps.Clone(tags))
}

// newOutlets are the outlets that a reload comes to.
type newOutlets struct {
	all   []*outlet // those of the configuration, in its order
	fresh []*outlet // of these, those that are not served yet
	gone  []*outlet // served until now, and not by all
}

// prepareOutlets makes the outlets for the targets and scripts of set, and takes
// over those that stay the same. It changes nothing. a.reloadMu is held.
func (a *Agent) prepareOutlets(set config.Handlers) (*newOutlets, error) {
	n := &newOutlets{gone: slices.Clone(a.outlets)}
	keep := func(t *target.Target, s config.Script) bool {
		i := slices.IndexFunc(n.gone, func(o *outlet) bool { return o.serves(t, s) })
		if i < 0 {
			return false
		}
		n.all = append(n.all, n.gone[i])
		n.gone = slices.Delete(n.gone, i, i+1)
		return true
	}
	add := func(o *outlet) { n.all, n.fresh = append(n.all, o), append(n.fresh, o) }
	for _, t := range set.Targets {
		if keep(&t, config.Script{}) {
			continue
		}
		o, err := a.newTargetOutlet(t)
		if err != nil {
			return nil, err
		}
		add(o)
	}
	for _, s := range set.Scripts {
		if !keep(nil, s) {
			add(a.newScriptOutlet(s))
		}
	}
	return n, nil
}

// replaceOutlets serves the targets and scripts of set, by the outlets that were
// prepared for it, from now on. a.reloadMu is held.
func (a *Agent) replaceOutlets(set config.Handlers, n *newOutlets) {
	// The new runners first, so that no event falls between an old one and a
	// new one; they queue until they are started.
	a.intake.SetRunners(runnersOf(n.all))
	// Each target is on its own: one that takes long to stop keeps no other
	// from being served.
	var work sync.WaitGroup
	gone := n.gone
	for _, o := range n.fresh {
		var was *outlet
		if i := slices.IndexFunc(gone, func(old *outlet) bool { return o.target != nil && old.target != nil && old.name == o.name }); i >= 0 {
			was = gone[i]
			gone = slices.Concat(gone[:i], gone[i+1:])
		}
		work.Go(func() { a.takeOver(o, was, set.Native[o.name]) })
	}
	for _, o := range gone {
		a.listOutlet(o, nil)
		if o.target == nil {
			o.finish() // a script handles what waits for it
		} else {
			work.Go(o.stop)
		}
	}
	work.Wait()
	served := slices.DeleteFunc(slices.Clone(n.all), func(o *outlet) bool { return o.target != nil && o.delivery == nil })
	if len(served) < len(n.all) {
		a.intake.SetRunners(runnersOf(served))
	}
	a.outletsMu.Lock()
	a.outlets, a.handlers = served, set
	a.outletsMu.Unlock()
	a.forgetTargets(true)
}

// takeOver serves o from now on, in place of was, if that is not nil: a target's
// cursor is open once at a time, so the old delivery ends before the new begins.
func (a *Agent) takeOver(o, was *outlet, inPlaceOf string) {
	if was != nil {
		was.stop()
	}
	if err := a.openDelivery(o); err != nil { // the target itself is right: the journal is closed
		a.logger.Error("a target cannot be served: reload once more, or start the agent anew", "target", o.name, "error", err)
		a.listOutlet(was, nil)
		return
	}
	o.start(a.delivering)
	a.listOutlet(was, o)
	if o.target != nil {
		a.logTarget(*o.target, inPlaceOf)
	} else {
		a.logScript(o.script)
	}
}

// listOutlet takes was off the list of outlets, and puts o there in its place;
// either may be nil. The list itself is made anew, as others may be reading it.
func (a *Agent) listOutlet(was, o *outlet) {
	a.outletsMu.Lock()
	defer a.outletsMu.Unlock()
	list := slices.Clone(a.outlets)
	i := slices.Index(list, was)
	if i >= 0 {
		list = slices.Delete(list, i, i+1)
	} else {
		i = len(list)
	}
	if o != nil {
		list = slices.Insert(list, i, o)
	}
	a.outlets = list
}

// warnOfRestart names the settings whose new values need a restart.
func (a *Agent) warnOfRestart(c *config.Config) {
	for _, name := range a.opts.NeedRestart(c) {
		a.logger.Warn("this setting takes effect when the agent is started anew", "setting", name)
	}
}
