package config

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	if _, err := target.AddScheme(gateway); err != nil {
		c.bad("gateway", "%w", err)
		gateway = ""
	} else if gateway != "" && !handler.IsTarget(gateway) {
		c.bad("gateway", "%q is not a URL: want one like %s", text.RedactTarget(gateway), DefaultGateway)
		gateway = ""
	}
	if mended := withSlash(gateway); mended != gateway {
		c.warn(c.locations.label("gateway")+noSlash+": it is added", "")
		gateway, o.Gateway = mended, mended
	} else if rootPath().MatchString(gateway) {
		c.warn(c.locations.label("gateway")+": its path is /; to post to Kong's /cluster/events/, leave out the path", "")
	}
	set := Handlers{Native: map[string]string{}}
	for i := range o.Targets {
		if t := &o.Targets[i]; t.Preset == kongPreset && withSlash(t.URL) != t.URL {
			c.warn(c.locations.targetError(i, errors.New("url"+noSlash+": it is added")).Error(), "")
			t.URL = withSlash(t.URL)
		}
		if err := set.addTarget(&o.Targets[i], c.files); err != nil {
			c.problem(c.locations.targetError(i, err))
		}
	}
	for _, spec := range o.EventHandlers {
		_, what := handler.SplitHandler(spec)
		shown := text.Redact(spec)
		if handler.IsTarget(what) {
			shown = text.RedactTarget(spec)
		} else if i := strings.LastIndex(spec, "@"); i >= 0 && target.LooksLikeURL(what) {
			shown = "xxxxx" + spec[i:]
		}
		label := fmt.Sprintf("%s %q", c.handlerLabel(spec), shown)
		err := set.addSpec(spec, o.NativeHandlers, c.files)
		if errors.Is(err, errNothing) && o.AsSerf {
			continue // serf has a shell do nothing
		}
		if err == nil && !o.AsSerf { // serf takes all for a command, and warns of none
			err = c.checkHandler(label, what)
		}
		c.problem(prefixed(label, err))
	}
	if gateway != "" {
		t, err := (&TargetOptions{Preset: kongPreset, URL: gateway}).Target()
		if err == nil {
			_, err = set.add(t)
		}
		if err != nil {
			c.problem(prefixed(c.locations.label("gateway"), err))
		}
	}
	return set
}

// handlerLabel is how a message calls an event handler's setting. Only a file's
// handlers are told apart.
func (c *compiler) handlerLabel(spec string) string {
	if at, ok := c.locations["event_handlers="+strings.ToLower(spec)]; ok {
		return at.String()
	}
	if at := c.locations.of("event-handler"); at.where == "" {
		return at.String()
	}
	return "event-handler"
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
var otherScheme = text.LazyRegexp(`^[A-Za-z][A-Za-z0-9+.-]*://`)

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
	if scheme := otherScheme().FindString(what); scheme != "" && !handler.IsTarget(what) {
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
		opts.Preset, opts.Events = kongPreset, cmp.Or(filter, "*") // not the preset's
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
	kong, _ := target.FindPreset(kongPreset)
	return kong.At(u).URL
}

// kongPreset is the preset that -gateway has.
const kongPreset = "kong"

// noSlash is the warning of a URL that has Kong's path without the slash at its end.
const noSlash = ": Kong's endpoint is /cluster/events/, and the slash at its end is missing"

// kongPath matches a URL up to Kong's path without its slash, and the query.
var kongPath = text.LazyRegexp(`^((?:[^/?#:]+://[^/?#]*|unix:[^:?#]*:)(?:/[^?#]*)?/cluster/events)(\?.*|#.*)?$`)

// rootPath matches a URL whose path is nothing but a slash: Kong refuses what is posted
// there.
var rootPath = text.LazyRegexp(`^[^/?#:]+://[^/?#]*/+(\?.*|#.*)?$`)

// withSlash adds the slash that Kong's path has at its end: Kong has nothing where it
// is missing, so each event would be refused. Another URL stays as it is.
func withSlash(u string) string { return kongPath().ReplaceAllString(u, "$1/$2") }

// checkHandler looks at an event handler that is right by its form: whether it can be
// meant so. It warns of what may still work.
func (c *compiler) checkHandler(label, what string) error {
	if handler.IsTarget(what) {
		if withSlash(what) != what {
			c.warn(label+noSlash+"; if that is a Kong, add it", "")
		}
		return nil
	}
	if err := noCommand(what); err != nil {
		return err
	}
	if why := brokenCommand(what); why != "" {
		c.warn(label+": "+why, "")
	}
	return nil
}
