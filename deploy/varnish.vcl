# Varnish 7 in front of two nodes (TRUST_PROXY=1). It caches nothing: every answer is for one user. Start it with
#   varnishd -a :8080 -f /etc/varnish/tidings.vcl -p pipe_timeout=90 -p timeout_idle=65 -p thread_pool_max=5000
# Each open socket, stream and long-poll takes a thread, so for tens of thousands of clients take another proxy.
# Varnish has no limit of connections by address (the vmod vsthrottle limits requests): the nodes' ADDRESS_SHARE bounds
# sockets, streams and long-polls.
vcl 4.1;

import directors;

probe ready {
  .url = "/readyz";
  .interval = 1s;
  .timeout = 2s;
  .window = 2;
  .threshold = 1;
  .initial = 1;
}

backend a {
  .host = "10.0.0.11";
  .port = "3000";
  .probe = ready;
  .connect_timeout = 2s;
  .first_byte_timeout = 90s; # GET /events waits up to 30 seconds
  .between_bytes_timeout = 90s;
}

backend b {
  .host = "10.0.0.12";
  .port = "3000";
  .probe = ready;
  .connect_timeout = 2s;
  .first_byte_timeout = 90s;
  .between_bytes_timeout = 90s;
}

sub vcl_init {
  new nodes = directors.round_robin();
  nodes.add_backend(a);
  nodes.add_backend(b);
  new by_address = directors.hash();
  by_address.add_backend(a, 1.0);
  by_address.add_backend(b, 1.0);
}

sub vcl_recv {
  # The numbers of the service are not for the public. Its routes do not tell capitals apart, nor a slash at the end.
  if (req.url ~ "(?i)^/metrics/?(\?|$)") {
    return (synth(404));
  }
  if (!req.http.X-Forwarded-Proto) {
    set req.http.X-Forwarded-Proto = "http";
  }
  set req.backend_hint = nodes.backend();
  # A polling session lives in the memory of one node, found by the client's address. A WebSocket with a session id is
  # an upgrade from polling; one without may go to any node.
  if (req.url ~ "^/socket\.io/" && (req.url !~ "[?&]transport=websocket(&|$)" || req.url ~ "[?&]sid=")) {
    set req.backend_hint = by_address.backend("" + client.ip);
  }
  if (req.http.Upgrade ~ "(?i)^websocket$") {
    return (pipe);
  }
  return (pass);
}

sub vcl_pipe {
  if (req.http.Upgrade) {
    set bereq.http.Upgrade = req.http.Upgrade;
    set bereq.http.Connection = req.http.Connection;
  }
}

# A node that has just died: reads go to the next one.
sub vcl_backend_error {
  if (bereq.retries < 3 && (bereq.method == "GET" || bereq.method == "HEAD")) {
    return (retry);
  }
}
