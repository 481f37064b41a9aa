package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"sync"

	"agentctl/agent/logs"
	"agentctl/handler"
)

// reloadable are the settings that Reload changes.
var reloadable = []string{"event_handlers", "targets", "gateway", "native_handlers", "tags", "role", "log_level"}

// Reload takes over the event handlers, targets, tags and log level of o, and
// reads secrets and certificates from their files again. What has not changed
// goes on undisturbed; the events that wait for a target that is kept, even if
// changed, stay waiting for it; those for a target that is gone are dropped and
// counted in the log. Other settings need a restart: it logs those that differ.
//
// An error means that nothing has changed. Safe for concurrent use.
func (a *Agent) Reload(o Options) error {
	warnings, err := o.Normalize()
	if err != nil {
		return err
	}
	if err := o.Validate(); err != nil {
		return err
	}
	set, err := o.handlers()
	if err != nil {
		return err
	}
	level, err := logs.ParseLevel(o.LogLevel)
	if err != nil {
		return err
	}
	a.reloadMu.Lock()
	defer a.reloadMu.Unlock()
	if a.delivering == nil {
		return errors.New("the agent is not running, or ending")
	}
	// Stored tags, which clients may have changed since, rule over those given.
	if o.TagsFile == "" {
		if err := a.replaceTags(o.Tags); err != nil {
			return fmt.Errorf("tags: %w", err)
		}
	}
	for _, w := range warnings {
		a.logger.Warn(w)
	}
	if err := a.replaceOutlets(set); err != nil {
		return err
	}
	a.hub.SetLevel(level)
	a.warnOfRestart(&o)
	a.logger.Info("configuration reloaded", "targets", len(set.targets), "scripts", len(set.scripts))
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

// replaceOutlets serves the targets and scripts of set from now on. a.reloadMu
// is held.
func (a *Agent) replaceOutlets(set handlerSet) error {
	old := slices.Clone(a.outlets)
	var fresh []*outlet
	keepOr := func(t *handler.Target, s script, make func() (*outlet, error)) (*outlet, error) {
		if i := slices.IndexFunc(old, func(o *outlet) bool { return o.serves(t, s) }); i >= 0 {
			o := old[i]
			old = slices.Delete(old, i, i+1)
			return o, nil
		}
		o, err := make()
		fresh = append(fresh, o)
		return o, err
	}
	var outlets []*outlet
	for _, t := range set.targets {
		o, err := keepOr(&t, script{}, func() (*outlet, error) { return a.newTargetOutlet(t) })
		if err != nil {
			return err
		}
		outlets = append(outlets, o)
	}
	for _, s := range set.scripts {
		o, _ := keepOr(nil, s, func() (*outlet, error) { return a.newScriptOutlet(s), nil })
		outlets = append(outlets, o)
	}
	// The new runners first, so that no event falls between an old one and a
	// new one; they queue until they are started.
	a.intake.setRunners(runnersOf(outlets))
	// A target's cursor is open once at a time: the old delivery ends before
	// the new one begins. Scripts that are gone handle what waits for them.
	var stopping sync.WaitGroup
	for _, o := range old {
		if o.target == nil {
			o.finish()
		} else {
			stopping.Go(o.stop)
		}
	}
	stopping.Wait()
	var errs []error
	for _, o := range fresh {
		if err := a.openDelivery(o); err != nil {
			errs = append(errs, err) // it was validated: the journal is closed
			continue
		}
		o.start(a.delivering)
		if o.target != nil {
			a.logTarget(*o.target, set.native[o.name])
		} else {
			a.logScript(o.script)
		}
	}
	a.outletsMu.Lock()
	a.outlets, a.handlers = outlets, set
	a.outletsMu.Unlock()
	for _, o := range old {
		if o.target != nil && !slices.ContainsFunc(set.targets, func(t handler.Target) bool { return t.Name == o.name }) {
			errs = append(errs, a.forget(o))
		}
	}
	return errors.Join(errs...)
}

// forget drops the place in the journal of a target that is not served any more.
func (a *Agent) forget(o *outlet) error {
	level := slog.LevelInfo
	waiting := o.delivery.Status().Waiting
	if waiting > 0 {
		level = slog.LevelWarn
		a.metrics.dropped("target_removed", waiting)
	}
	a.logger.Log(a.delivering.ctx, level, "a target is not served any more", "target", o.name, "dropped", waiting)
	return a.journal.Forget(o.name)
}

// warnOfRestart names the settings whose new values need a restart.
func (a *Agent) warnOfRestart(o *Options) {
	for _, s := range settings {
		if slices.Contains(reloadable, s.Key) {
			continue
		}
		was, is := reflect.ValueOf(s.pointer(&a.opts)).Elem(), reflect.ValueOf(s.pointer(o)).Elem()
		if !reflect.DeepEqual(was.Interface(), is.Interface()) {
			a.logger.Warn("this setting takes effect when the agent is started anew", "setting", s.Name())
		}
	}
}
