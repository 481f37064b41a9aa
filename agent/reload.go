package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"

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
	a.outletsMu.Lock()
	defer a.outletsMu.Unlock()
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
	if maps.Equal(a.tags, tags) {
		return nil
	}
	if err := a.serf.SetTags(maps.Clone(tags)); err != nil {
		return err
	}
	a.tags = maps.Clone(tags)
	return nil
}

// replaceOutlets serves the targets and scripts of set from now on. a.outletsMu
// is held.
func (a *Agent) replaceOutlets(set handlerSet) error {
	old := slices.Clone(a.outlets)
	keep := func(t *handler.Target, s script) *outlet {
		i := slices.IndexFunc(old, func(o *outlet) bool { return o != nil && o.serves(t, s) })
		if i < 0 {
			return nil
		}
		o := old[i]
		old[i] = nil
		return o
	}
	targets, scripts := make([]*outlet, len(set.targets)), make([]*outlet, len(set.scripts))
	for i := range set.targets {
		targets[i] = keep(&set.targets[i], script{})
	}
	for i, s := range set.scripts {
		scripts[i] = keep(nil, s)
	}
	old = slices.DeleteFunc(old, func(o *outlet) bool { return o == nil })

	// A target's cursor is open once at a time: the old delivery ends first.
	// Scripts that are gone handle what waits for them, and then end.
	for _, o := range old {
		if o.target != nil {
			o.stop()
		} else {
			o.finish()
		}
	}
	var errs []error
	for i, t := range set.targets {
		if targets[i] == nil {
			var err error
			if targets[i], err = a.newTargetOutlet(t); err != nil {
				errs = append(errs, err) // it was validated: the journal is closed
				continue
			}
			targets[i].start(a.delivering)
			a.logTarget(t, set.native[t.Name])
		}
	}
	for i, s := range set.scripts {
		if scripts[i] == nil {
			scripts[i] = a.newScriptOutlet(s)
			scripts[i].start(a.delivering)
			a.logScript(s)
		}
	}
	a.outlets = slices.DeleteFunc(slices.Concat(targets, scripts), func(o *outlet) bool { return o == nil })
	a.intake.setRunners(runnersOf(a.outlets))
	a.handlers = set
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
