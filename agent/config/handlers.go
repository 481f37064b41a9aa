package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
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
	// native has the script that each target, by name, takes the place of.
	Native map[string]string
}

// Script is an event handler that runs a command.
type Script struct {
	Filters handler.Filters
	Command string
}

// CompileHandlers takes the event handlers and the gateway apart. Its error names
// each that is wrong.
func (o *Options) CompileHandlers() (Handlers, error) {
	gateway := o.Gateway
	if gateway == "" && len(o.EventHandlers) == 0 && len(o.Targets) == 0 && !o.AsSerf {
		gateway = DefaultGateway
	}
	var errs []error
	if gateway != "" && !handler.IsTarget(gateway) {
		errs = append(errs, fmt.Errorf("%s: %q is not a URL: want one like %s", o.Label("gateway"), text.RedactTarget(gateway), DefaultGateway))
		gateway = ""
	}
	set := Handlers{Native: map[string]string{}}
	for i := range o.Targets {
		t, err := o.Targets[i].Target()
		if err != nil {
			errs = append(errs, o.targetError(i, err))
			continue
		}
		if slices.ContainsFunc(set.Targets, func(other target.Target) bool { return other.Name == t.Name }) && o.Targets[i].Name != "" {
			errs = append(errs, o.targetError(i, fmt.Errorf("name: another target has the name %q", t.Name)))
			continue
		}
		if _, err := set.add(t); err != nil {
			errs = append(errs, o.targetError(i, err))
		}
	}
	for _, spec := range o.EventHandlers {
		if err := set.addSpec(spec, o.NativeHandlers); err != nil {
			shown := text.Redact(spec)
			if _, what := handler.SplitHandler(spec); handler.IsTarget(what) {
				shown = text.RedactTarget(spec)
			}
			errs = append(errs, prefixed(o.at(fmt.Sprintf("event-handler %q", shown), "event_handlers="+spec), err))
		}
	}
	if gateway != "" {
		t, err := (&TargetOptions{Preset: "kong", URL: gateway}).Target()
		if err == nil {
			_, err = set.add(t)
		}
		if err != nil {
			errs = append(errs, prefixed(o.Label("gateway"), err))
		}
	}
	return set, errors.Join(errs...)
}

// prefixed puts a prefix before an error, or before each of several joined ones.
func prefixed(prefix string, err error) error {
	var errs []error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			errs = append(errs, prefixed(prefix, e))
		}
		return errors.Join(errs...)
	}
	return fmt.Errorf("%s: %w", prefix, err)
}

// otherScheme matches the beginning of a URL.
var otherScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

// addSpec adds what an event handler, FILTER=WHAT, names.
func (set *Handlers) addSpec(spec string, native bool) error {
	filter, what := handler.SplitHandler(spec)
	filters, err := handler.ParseFilters(filter)
	if err != nil {
		return err
	}
	if what == "" {
		return errors.New("nothing to run or post to after the \"=\"")
	}
	url, ofKong := what, false
	if scheme := otherScheme.FindString(what); scheme != "" && !handler.IsTarget(what) {
		return fmt.Errorf("%s is no scheme to post to: want http://, https:// or unix:, or a script", scheme)
	}
	if !handler.IsTarget(what) {
		if url, ofKong = kongScript(what); !ofKong || !native {
			set.Scripts = append(set.Scripts, Script{filters, what})
			return nil
		}
	}
	opts := TargetOptions{URL: url, Events: filter}
	if ofKong {
		opts.Preset, opts.Events = "kong", cmp.Or(filter, "*") // not the preset's
	}
	t, err := opts.Target()
	if err != nil {
		return err
	}
	name, err := set.add(t)
	if err == nil && ofKong {
		set.Native[name] = what
	}
	return err
}

// kongScript reads the script that a command names and returns the URL that it
// posts to, where it surely is one that Kong wrote. Anything but the plain path
// of a file is a command to run.
func kongScript(command string) (url string, ok bool) {
	const most = 16 << 10 // bytes; Kong's have less than 1,000
	if !filepath.IsAbs(command) || strings.ContainsAny(command, " \t\n'\"$`;|&<>()*?[]#~\\") {
		return "", false
	}
	// First of all, since opening a named pipe would wait for ever.
	if info, err := os.Stat(command); err != nil || !info.Mode().IsRegular() {
		return "", false
	}
	f, err := os.Open(command)
	if err != nil {
		return "", false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil || len(text) > most {
		return "", false
	}
	return shim.KongScript(string(text))
}

// GatewayURL gives a gateway's URL without a path the path of Kong's endpoint.
func GatewayURL(u string) string {
	kong, _ := target.FindPreset("kong")
	return kong.At(u).URL
}
