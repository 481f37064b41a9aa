package agent

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/large"
	"agentctl/handler"
)

// publishWait is how long a publish over HTTP may take: for a join that is
// under way, or for room where the journal does not take events in time. The
// connection is closed after 30 s.
const publishWait = 20 * time.Second

// postEvent publishes an event for an HTTP client.
func (a *Agent) postEvent(r *http.Request) (int, any, error) {
	event, err := a.publishRequest(r)
	if err != nil {
		return 0, nil, err
	}
	payload := event.PayloadBase64
	if len(payload) == 0 {
		payload = []byte(event.Payload)
	}
	ctx, cancel := context.WithTimeout(r.Context(), publishWait)
	defer cancel()
	sent, unreached, err := a.publishReport(ctx, event.Name, payload, event.Coalesce)
	if err != nil {
		return 0, nil, publishError(err)
	}
	return http.StatusAccepted, api.PublishReport{
		ID:   handler.UserID(uint64(sent.LTime), handler.Sum(sent.Name, sent.Payload)),
		Name: sent.Name, LTime: uint64(sent.LTime), Unreached: unreached, Warning: a.warnUnreached(unreached),
	}, nil
}

func publishError(err error) error {
	if _, ok := errors.AsType[*SizeError](err); ok {
		return apiErrorf(http.StatusRequestEntityTooLarge, "%v", err)
	}
	switch {
	case errors.Is(err, errReserved):
		return apiErrorf(http.StatusBadRequest, "%v", err)
	case errors.Is(err, errStopping):
		return apiErrorf(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return apiErrorf(http.StatusServiceUnavailable, "the agent did not take the event within %v, and does not send it: try again", publishWait)
	}
	return err
}

// publishRequest reads the event of a request: the body is the payload where
// the query has a name, else it is a [api.PublishRequest].
func (a *Agent) publishRequest(r *http.Request) (event api.PublishRequest, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return event, apiErrorf(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	for key, values := range query {
		switch {
		case key != "name" && key != "coalesce":
			return event, apiErrorf(http.StatusBadRequest, "unknown parameter %q: there are name and coalesce", key)
		case len(values) > 1:
			return event, apiErrorf(http.StatusBadRequest, "%s is given %d times: give it once", key, len(values))
		case key == "coalesce":
			if event.Coalesce, err = strconv.ParseBool(values[0]); err != nil {
				return event, apiErrorf(http.StatusBadRequest, "coalesce: %q is not true or false", values[0])
			}
		}
	}
	switch {
	case query.Has("name"):
		event.Name = query.Get("name")
		event.PayloadBase64, err = a.readPayload(r)
	case query.Has("coalesce"):
		err = apiErrorf(http.StatusBadRequest, "coalesce is given, and no name: give both in the query, or both in the JSON body")
	default:
		err = readRequest(r, &event)
	}
	switch {
	case err != nil:
	case event.Name == "":
		err = apiErrorf(http.StatusBadRequest, "the event has no name: give one, as name in the query or in the JSON body")
	case event.Payload != "" && len(event.PayloadBase64) > 0:
		err = apiErrorf(http.StatusBadRequest, "payload and payload_base64 are both given: give one")
	}
	return event, err
}

// formTypes are those of bodies that a page of any other origin may send, by a
// form or a script, without this agent being asked.
var formTypes = []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}

// readPayload reads a body as it is.
func (a *Agent) readPayload(r *http.Request) ([]byte, error) {
	if typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); slices.Contains(formTypes, typ) {
		return nil, apiErrorf(http.StatusUnsupportedMediaType,
			"a body of type %q may come from a web page's form: send the payload with Content-Type: application/octet-stream, or another type that no form has", typ)
	}
	limit := a.opts.MaxEvent()
	payload, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, int64(limit)))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, apiErrorf(http.StatusRequestEntityTooLarge,
			"the payload has more than %d bytes, the limit of name and payload: send less, or raise max_event_size on the agent (to at most %d)", limit, large.MaxEvent)
	}
	if err != nil {
		return nil, apiErrorf(http.StatusBadRequest, "the body did not come whole: %v", err)
	}
	return payload, nil
}
