package agent

import (
	"fmt"

	"agentctl/agent/config"
)

// Reload takes over the event handlers, targets, tags and log level of another
// configuration, with its secrets and certificates. What has not changed goes on
// undisturbed. Events that wait for a target that is kept, even if changed, stay
// waiting for it; those for a target that is gone are kept for the journal's age.
// Other settings need a restart: Reload logs those that differ.
//
// An error means that nothing has changed. Should a target fail to be served all
// the same, that is logged, and the others are served. Safe for concurrent use.
func (a *Agent) Reload(c *config.Config) error {
	err := a.sinks.replace(c.Handlers, func() error {
		// The last that can fail. Stored tags, which clients may have changed since,
		// rule over those given.
		if c.TagsFile == "" {
			if err := a.serf.ReplaceTags(c.NodeTags); err != nil {
				return fmt.Errorf("tags: %w", err)
			}
		}
		for _, w := range c.Warnings {
			a.logger.Warn(w)
		}
		a.hub.SetLevel(c.Level)
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range a.opts.NeedRestart(c) {
		a.logger.Warn("this setting takes effect when the agent is started anew", "setting", name)
	}
	a.logger.Info("configuration reloaded", "targets", len(c.Handlers.Targets), "scripts", len(c.Handlers.Scripts))
	return nil
}

// RetryNow ends the waits between attempts at all targets, as an operator does who knows
// that they are well again. See [delivery.Delivery.RetryNow].
func (a *Agent) RetryNow() { a.sinks.retryNow() }
