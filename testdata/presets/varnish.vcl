# Varnish beside an agent with the presets varnish-purge and varnish-ban. The
# tests put addresses in place of @...@.
vcl 4.1;

import std;

backend origin {
    .host = "@ORIGIN_HOST@";
    .port = "@ORIGIN_PORT@";
}

acl agents {
    "127.0.0.1";
}

sub vcl_recv {
    if (req.method == "PURGE" || req.method == "BAN") {
        if (client.ip !~ agents) {
            return (synth(405, "Not from here"));
        }
        if (req.method == "PURGE") {
            return (purge);
        }
        if (!std.ban(req.http.x-ban)) {
            return (synth(400, std.ban_error()));
        }
        return (synth(200, "Banned"));
    }
}

# What bans are about is kept with each object, so that Varnish can do them in
# the background.
sub vcl_backend_response {
    set beresp.http.x-host = bereq.http.host;
    set beresp.http.x-url = bereq.url;
}

sub vcl_deliver {
    unset resp.http.x-host;
    unset resp.http.x-url;
}
