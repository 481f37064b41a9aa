package target

import (
	"net/http"

	"agentctl/handler"
)

// The filters of the presets, for targets without filters of their own.
var (
	purgeEvents = handler.Filters{{Type: handler.User, Name: "purge"}}
	// kongEvents are those of Kong's own start command.
	kongEvents = handler.Filters{{Type: handler.MemberJoin}, {Type: handler.MemberLeave}, {Type: handler.MemberFailed}, {Type: handler.MemberUpdate}, {Type: handler.MemberReap}, {Type: handler.User, Name: "kong"}}
)

// varnishFlush bans every object that Varnish holds.
var varnishFlush = FlushRequest{URL: "/", Method: "BAN", Header: http.Header{"X-Ban": {"obj.status != 0"}}}

// asClient sets the Host header under which a client asked for the object.
func asClient() http.Header { return http.Header{"Host": {"{{host}}"}} }

// varnishBan is a ban expression for a regular expression, tags or one URL, and for
// the host if the event names one. A blank ends each word of it, and nothing can
// be quoted.
const varnishBan = `{{if or .url .host}}obj.http.x-host == {{host}} && {{end}}` +
	`{{if .regex}}obj.http.x-url ~ {{pattern .regex}}` +
	`{{else if .tags}}obj.http.surrogate-key ~ (^|[\s,])({{anyof .tags}})($|[\s,])` +
	`{{else}}obj.http.x-url == {{path}}{{end}}`

// presets are in the order of PRESETS.md. A preset collapses equal events only if an
// event makes the gateway forget something. If an event sets something, as for
// kong-dbless, the later of two equal ones may undo what came between them.
var presets = []Preset{
	{
		Name: "kong", About: "Kong 0.6 to 0.10: posts the event", Needs: "what Kong published",
		Target: Target{
			Filters: kongEvents, URL: defaultUnixPath, Collapse: true,
			Flush: &FlushRequest{SelfJoin: true},
		},
	}, {
		Name: "kong-cache", About: "a newer Kong's Admin API: drops a key of its cache", Needs: "key",
		Target: Target{
			Filters: handler.Filters{{Type: handler.User, Name: "kong-cache"}}, Method: http.MethodDelete, URL: "/cache/{{.key}}", Collapse: true,
			Flush: &FlushRequest{URL: "/cache", Method: http.MethodDelete},
		},
	}, {
		Name: "kong-dbless", About: "a Kong without a database: loads the configuration", Needs: "a declarative configuration",
		Target: Target{
			Filters: handler.Filters{{Type: handler.User, Name: "kong-config"}}, URL: "/config?check_hash=1", DoneCodes: []int{http.StatusNotModified},
			Flush: &FlushRequest{LastEvent: true},
		},
	}, {
		Name: "varnish-purge", About: "Varnish: purges an object", Needs: "url, or host and path",
		Target: Target{
			Filters: purgeEvents, Method: "PURGE", URL: "{{path}}", Header: asClient(), Collapse: true,
			Flush: &varnishFlush,
		},
	}, {
		Name: "varnish-ban", About: "Varnish: bans what matches", Needs: "regex, tags, path or url; host",
		Target: Target{
			Filters: handler.Filters{{Type: handler.User, Name: "ban"}}, Method: "BAN", URL: "/", Header: http.Header{"X-Ban": {varnishBan}}, Collapse: true,
			Flush: &varnishFlush,
		},
	}, {
		Name: "nginx-purge", About: "nginx with its cache-purge module: purges an object", Needs: "url, or host and path",
		Target: Target{
			Filters: purgeEvents, Method: "PURGE", URL: "/purge{{path}}", Header: asClient(), Collapse: true,
			DoneCodes: []int{http.StatusNotFound, http.StatusPreconditionFailed},
		},
	}, {
		Name: "squid", About: "Squid before a web site: purges an object", Needs: "url, or host and path",
		Target: Target{
			Filters: purgeEvents, Method: "PURGE", URL: "{{path}}", Header: asClient(), Collapse: true,
			DoneCodes: []int{http.StatusNotFound},
		},
	}, {
		Name: "caddy-load", About: "Caddy's admin endpoint: loads the configuration", Needs: "a configuration in JSON",
		Target: Target{
			Filters: handler.Filters{{Type: handler.User, Name: "caddy-config"}}, URL: "/load",
			Flush: &FlushRequest{LastEvent: true},
		},
	}, {
		Name: "souin", About: "Souin's API: purges what has a tag", Needs: "tags",
		Target: Target{
			Filters: purgeEvents, Method: "PURGE", URL: "/souin-api/souin", Collapse: true,
			Header: http.Header{"Surrogate-Key": {`{{join ", " .tags}}`}},
			Flush:  &FlushRequest{URL: "/souin-api/souin/flush", Method: "PURGE"},
		},
	}, {
		Name: "apisix", About: "APISIX with its proxy-cache plugin: purges an object", Needs: "url, or host and path",
		Target: Target{
			Filters: purgeEvents, Method: "PURGE", URL: "{{path}}", Header: asClient(), Collapse: true,
			DoneCodes: []int{http.StatusNotFound},
		},
	}, {
		Name: DefaultPreset, About: "anything else: posts the event", Needs: "nothing",
	},
}
