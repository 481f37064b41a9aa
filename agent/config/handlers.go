package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"agentctl/handler"
	"agentctl/handler/shim"
	"agentctl/handler/target"
	"agentctl/handler/text"
)

// Handlers is what events are for: targets, whose names are unique, and
// scripts.
type Handlers struct {
	Targets []target.Target
	Scripts []Script
	// Native has the script that each target, by name, takes the place of.
	Native map[string]string
}

// Script is an event handler that runs a command.
type Script struct {
	Filters handler.Filters
	Command string
}

// compileHandlers takes the event handlers and the gateway apart.
func (c *compiler) compileHandlers() Handlers {
	o := &c.opts
	o.EventHandlers = slices.DeleteFunc(o.EventHandlers, func(spec string) bool { return spec == "" }) // it is as if not given
	gateway := o.Gateway
	if gateway == "" && len(o.EventHandlers) == 0 && len(o.Targets) == 0 && !o.AsSerf {
		gateway = DefaultGateway
	}
	if gateway != "" && !handler.IsTarget(gateway) {
		c.bad("gateway", "%q is not a URL: want one like %s", text.RedactTarget(gateway), DefaultGateway)
		gateway = ""
	}
	set := Handlers{Native: map[string]string{}}
	for i := range o.Targets {
		if err := set.addTarget(&o.Targets[i], c.files); err != nil {
			c.problem(c.locations.targetError(i, err))
		}
	}
	for _, spec := range o.EventHandlers {
		err := set.addSpec(spec, o.NativeHandlers, c.files)
		if errors.Is(err, errNothing) && o.AsSerf {
			continue // serf has a shell do nothing
		}
		if err != nil {
			shown := text.Redact(spec)
			if _, what := handler.SplitHandler(spec); handler.IsTarget(what) {
				shown = text.RedactTarget(spec)
			}
			c.problem(prefixed(c.locations.at(fmt.Sprintf("event-handler %q", shown), "event_handlers="+spec), err))
		}
	}
	if gateway != "" {
		t, err := (&TargetOptions{Preset: "kong", URL: gateway}).Target()
		if err == nil {
			_, err = set.add(t)
		}
		if err != nil {
			c.problem(prefixed(c.locations.label("gateway"), err))
		}
	}
	return set
}

// addTarget adds one of the "targets" of a configuration file.
func (set *Handlers) addTarget(opts *TargetOptions, from files) error {
	t, err := opts.compile(from)
	if err != nil {
		return err
	}
	taken := slices.ContainsFunc(set.Targets, func(other target.Target) bool { return other.Name == t.Name })
	if taken && opts.Name != "" {
		return fmt.Errorf("name: another target has the name %q", t.Name)
	}
	_, err = set.add(t)
	return err
}

// otherScheme matches the beginning of a URL.
var otherScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// errNothing is an event handler that says only which events it is for.
var errNothing = errors.New("nothing to run or post to after the \"=\"")

// addSpec adds what an event handler, FILTER=WHAT, names.
func (set *Handlers) addSpec(spec string, native bool, from files) error {
	filter, what := handler.SplitHandler(spec)
	filters, err := handler.ParseFilters(filter)
	if err != nil {
		return err
	}
	if what == "" {
		return errNothing
	}
	url, ofKong := what, false
	if scheme := otherScheme.FindString(what); scheme != "" && !handler.IsTarget(what) {
		return fmt.Errorf("%s is no scheme to post to: want http://, https:// or unix:, or a script", scheme)
	}
	if !handler.IsTarget(what) {
		if url, ofKong = from.kongScript(what); !ofKong || !native {
			set.Scripts = append(set.Scripts, Script{filters, what})
			return nil
		}
	}
	opts := TargetOptions{URL: url, Events: filter}
	if ofKong {
		opts.Preset, opts.Events = "kong", cmp.Or(filter, "*") // not the preset's
	}
	t, err := opts.compile(from)
	if err != nil {
		return err
	}
	name, err := set.add(t)
	if err == nil && ofKong {
		set.Native[name] = what
	}
	return err
}

// maxScriptSize bounds the scripts that are compared with Kong's, which have less
// than 1,000 bytes.
const maxScriptSize = 16 << 10

// kongScript reads the script that a command names and returns the URL that it
// posts to, where it surely is one that Kong wrote. Anything but the plain path
// of a file is a command to run.
func (f files) kongScript(command string) (url string, ok bool) {
	if !filepath.IsAbs(command) || strings.ContainsAny(command, " \t\n'\"$`;|&<>()*?[]#~\\") {
		return "", false
	}
	// First of all, since opening a named pipe would wait for ever.
	if info, err := os.Stat(command); err != nil || !info.Mode().IsRegular() || info.Size() > maxScriptSize {
		return "", false
	}
	text, err := f.read(command, maxScriptSize)
	if err != nil {
		return "", false
	}
	return shim.KongScript(string(text))
}

// GatewayURL gives a gateway's URL without a path the path of Kong's endpoint.
func GatewayURL(u string) string {
	kong, _ := target.FindPreset("kong")
	return kong.At(u).URL
}
