package config

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// minInterval is the least -retry-interval and -broadcast-timeout, as in serf.
const minInterval = time.Second

// Config is a configuration that was compiled: everything in it is valid, and
// nothing in it has to be looked up again. [Compile] makes it, and nobody changes
// it afterwards.
type Config struct {
	// Options are the settings as they were given, with what was left out
	// filled in. Where a field below says the same, that field rules.
	Options

	Handlers Handlers   // what Targets, EventHandlers and Gateway came to
	Level    slog.Level // that of LogLevel

	BindAddr      netip.AddrPort // that of Bind, before -iface picks an address
	AdvertiseAddr netip.AddrPort // that of Advertise; not valid where none is given

	NodeTags map[string]string // Tags, or what the tags file held
	Keys     [][]byte          // that encrypt gossip, the primary one first; none: it is not encrypted
	KeysFile string            // that is to keep Keys as they change; "" for none

	// Warnings are lines about settings that work, but hardly as they were
	// meant to. The agent logs them when it takes the configuration over.
	Warnings []string

	locations locations
}

// Input is the sources of settings. Each overrides those before it.
type Input struct {
	Defaults Options
	Files    []string // paths of configuration files and of folders of them
	Environ  []string // NAME=VALUE, as [os.Environ] has it
	Flags    []Flag   // in the order of the command line
}

// Flag is a flag with its value as it was typed.
type Flag struct {
	Setting Setting
	Value   string
}

// Error is all that is wrong with a configuration: a line for each problem.
type Error struct {
	problems []error
	Warnings []string // those that a valid configuration would have, too
}

func (e *Error) Error() string {
	lines := make([]string, len(e.problems))
	for i, err := range e.problems {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the problems.
func (e *Error) Unwrap() []error { return e.problems }

// Compile makes one checked value of all settings. It reads each file that they
// name once. Its error is an [*Error] with all that is wrong, wherever it comes
// from.
func Compile(in Input) (*Config, error) {
	c := &compiler{opts: in.Defaults.clone(), locations: locations{}, files: files{}}
	env := newEnviron(in.Environ)
	c.readConfig(append(env.configPaths(), in.Files...))
	c.applyEnviron(env)
	c.applyFlags(in.Flags)
	c.complete()
	conf := c.compile()
	if len(c.problems) > 0 {
		return nil, &Error{problems: c.problems, Warnings: c.warnings}
	}
	return conf, nil
}

// compiler gathers settings, and all that is wrong with them.
type compiler struct {
	opts      Options
	locations locations
	files     files
	problems  []error
	warnings  []string
}

// problem records errors; those that are nil are none.
func (c *compiler) problem(errs ...error) {
	for _, err := range errs {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			c.problem(joined.Unwrap()...)
		} else if err != nil {
			c.problems = append(c.problems, err)
		}
	}
}

// bad records what is wrong with a setting.
func (c *compiler) bad(name, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s: %w", c.locations.label(name), fmt.Errorf(format, args...)))
}

// warn records a warning. As serf it is a whole line, in serf's words if serf has any.
func (c *compiler) warn(ours, serfs string) {
	if c.opts.AsSerf {
		ours = cmp.Or(serfs, "Warning: "+ours)
	}
	c.warnings = append(c.warnings, ours)
}

// given leaves out flags that are as if not given. As with serf, a text or a
// duration that is empty undoes the same flag before it, so that a file or a default
// rules. Serf has no other flag with an empty value: to one that is a number, or true
// or false, it says that the value is wrong.
func given(flags []Flag) (kept []Flag) {
	for _, f := range flags {
		if f.Value != "" || !f.Setting.mayBeEmpty() {
			kept = append(kept, f)
			continue
		}
		kept = slices.DeleteFunc(kept, func(k Flag) bool { return k.Setting.Flag == f.Setting.Flag })
	}
	return kept
}

func (c *compiler) applyFlags(flags []Flag) {
	for _, f := range given(flags) {
		c.locations.note(f.Setting.Key, f.Setting.name())
		if err := f.Setting.set(&c.opts, f.Value); err != nil {
			c.problem(fmt.Errorf("%s: %w", f.Setting.name(), err))
		}
	}
}

// complete fills in what depends on the machine or on other settings, and mends
// what can be mended.
func (c *compiler) complete() {
	o := &c.opts
	if o.NodeName == "" {
		var err error
		if o.NodeName, err = os.Hostname(); err != nil {
			c.problem(fmt.Errorf("%s: the host's name cannot be read, give one: %w", c.locations.called("node"), err))
		} else if o.NodeName == "" {
			c.bad("node", "is empty")
		}
	}
	if o.Role != "" {
		c.warn(fmt.Sprintf("%s: deprecated, give the tag role=%s instead", c.locations.label("role"), o.Role), "Deprecation warning: 'Role' has been replaced with 'Tags'")
		if o.Tags == nil {
			o.Tags = map[string]string{}
		}
		o.Tags["role"] = o.Role
	}
	if o.DataDir != "" {
		o.SnapshotPath = cmp.Or(o.SnapshotPath, filepath.Join(o.DataDir, SnapshotFile))
	}
	for _, d := range []struct {
		name, serfs string
		v           *time.Duration
	}{{"retry-interval", "RetryInterval", &o.RetryInterval}, {"broadcast-timeout", "BroadcastTimeout", &o.BroadcastTimeout}} {
		if *d.v < minInterval {
			c.warn(fmt.Sprintf("%s: %v is too low, using %v", c.locations.label(d.name), *d.v, minInterval),
				fmt.Sprintf("Warning: '%s' is too low. Setting to %v", d.serfs, minInterval))
			*d.v = minInterval
		}
	}
	if o.RejoinAfterLeave && o.SnapshotPath == "" {
		c.warn(c.locations.label("rejoin")+": has no effect without "+c.locations.called("snapshot")+" or "+c.locations.called("data-dir"), "Warning: 'RejoinAfterLeave' enabled without snapshot file")
	}
}

// Label is how a message calls a setting: by the name it was given by, with its
// location in a file.
func (c *Config) Label(name string) string { return c.locations.label(name) }
