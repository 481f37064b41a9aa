// Package api holds the messages of the agent's HTTP API, version 1, and its
// limits. The server and its clients both import it, so the JSON of a message is
// written in one place.
//
// # Contract
//
// The messages are plain structs. They hold no lock, no interface and no value
// that another part of the agent goes on changing. A reader may keep one as long
// as it likes.
//
// Every answer with a status other than 2xx has an [ErrorReport] as its body.
// There is one exception: GET /healthz and GET /readyz answer 503 with a
// [HealthReport].
//
// Names, meanings and order of the fields are a promise to other people's
// programs. Version 1 may gain a field, and a word such as [NodeState] may gain a
// value. A client ignores the fields that it does not know, and takes an unknown
// word as "not well". The server refuses a request with an unknown field, because
// a misspelt filter would choose too much.
//
// The limits bound what one request may ask for, and how many requests the server
// works on at a time. A request beyond a limit is refused with an error that says
// so; it is never cut short in silence.
//
// # Requests
//
//	GET  /healthz                 HealthReport
//	GET  /readyz                  HealthReport
//	GET  /v1/status               StatusReport
//	GET  /v1/cluster              ClusterReport
//	GET  /v1/events               EventPage; with follow=1 lines of FollowedEvent
//	POST /v1/events               PublishRequest → PublishReport
//	                              or lines of PublishRequest → BatchReport
//	GET  /v1/events/{id}          EventReport
//	GET  /v1/events/{id}/nodes    NodesReport
//	GET  /v1/recipients           RecipientsReport
//	POST /v1/replay               ReplayRequest → ReplayReport
//	POST /v1/dismiss              DismissRequest → DismissReport
//	GET  /v1/replay/{id}          ReplayReport
package api
