package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/serf/serf"

	"agentctl/handler"
	"agentctl/handler/shim"
	"agentctl/handler/target"
)

// handlerSet is what events are for: targets, whose names are unique, and
// scripts.
type handlerSet struct {
	targets []target.Target
	scripts []script
	// native has the script that each target, by name, takes the place of.
	native map[string]string
}

// script is an event handler that runs a command.
type script struct {
	filters handler.Filters
	command string
}

// handlers takes the event handlers and the gateway apart. Its error names
// each that is wrong.
func (o *Options) handlers() (handlerSet, error) {
	gateway := o.Gateway
	if gateway == "" && len(o.EventHandlers) == 0 && len(o.Targets) == 0 && !o.AsSerf {
		gateway = DefaultGateway
	}
	var errs []error
	if gateway != "" && !handler.IsTarget(gateway) {
		errs = append(errs, fmt.Errorf("%s: %q is not a URL: want one like %s", o.label("gateway"), redactTarget(gateway), DefaultGateway))
		gateway = ""
	}
	set := handlerSet{native: map[string]string{}}
	for i := range o.Targets {
		t, err := o.Targets[i].Target()
		if err != nil {
			errs = append(errs, o.targetError(i, err))
			continue
		}
		if slices.ContainsFunc(set.targets, func(other target.Target) bool { return other.Name == t.Name }) && o.Targets[i].Name != "" {
			errs = append(errs, o.targetError(i, fmt.Errorf("name: another target has the name %q", t.Name)))
			continue
		}
		if _, err := set.add(t); err != nil {
			errs = append(errs, o.targetError(i, err))
		}
	}
	for _, spec := range o.EventHandlers {
		if err := set.addSpec(spec, o.NativeHandlers); err != nil {
			shown := redact(spec)
			if _, what := handler.SplitHandler(spec); handler.IsTarget(what) {
				shown = redactTarget(spec)
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
			errs = append(errs, prefixed(o.label("gateway"), err))
		}
	}
	return set, errors.Join(errs...)
}

// Check validates the options and says, in a few lines, what an agent would run
// with them. It opens nothing but the files that they name, for reading.
func Check(o *Options) ([]string, error) {
	set, err := o.handlers() // the one part of Validate that is needed here, too
	if err == nil {
		err = o.Validate()
	}
	var conf *serf.Config
	if err == nil {
		conf, err = serfConfig(o, log.New(io.Discard, "", 0)) // files that cannot be read
	}
	if err != nil {
		return nil, err
	}
	lines := []string{
		fmt.Sprintf("node      %s, profile %s, gossip on %s, encrypted: %v", o.NodeName, o.Profile, o.Bind, conf.MemberlistConfig.Keyring != nil),
		fmt.Sprintf("rpc       %s", o.RPCAddr),
		fmt.Sprintf("http      %s", o.HTTPAddr),
		fmt.Sprintf("journal   %s", o.journalLine()),
	}
	if joins := slices.Concat(o.StartJoin, o.RetryJoin); len(joins) > 0 {
		lines = append(lines, "join      "+strings.Join(joins, ", "))
	}
	for _, t := range set.targets {
		line := fmt.Sprintf("target    %s: %s %s for %s", t.Name, t.Method, t.Endpoint(), t.Filters)
		if script := set.native[t.Name]; script != "" {
			line += ", in place of " + script
		}
		line += "; flush: " + t.FlushLine()
		lines = append(lines, line)
	}
	for _, s := range set.scripts {
		lines = append(lines, fmt.Sprintf("script    %s for %s", redact(s.command), s.filters))
	}
	return lines, nil
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
func (set *handlerSet) addSpec(spec string, native bool) error {
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
			set.scripts = append(set.scripts, script{filters, what})
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
		set.native[name] = what
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
