/* A C node as what the benchmark `links` speaks to; the protocol is in links_driver.erl.
 *
 *     cc -O2 -o ei_target ei_target.c -lei -lpthread
 *     ei_target NAME@HOST COOKIE
 *
 * As ei's manual has it: one thread, which waits by poll(2) and reads with
 * ei_xreceive_msg what has come. It listens on loopback. */
#include <ei.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_LINKS 1024
#define MOST_IN_FLIGHT 1024
#define HANDSHAKE_MS 5000

static ei_cnode self;
static ei_x_buff request, answer;

static struct {
	int fd; /* -1 while nobody counts */
	erlang_pid to;
	long every, count;
} sink = {.fd = -1};

static void begin(ei_x_buff *term)
{
	term->index = 0;
	ei_x_encode_version(term);
}

static void begin_answer(int arity, const char *tag)
{
	begin(&answer);
	ei_x_encode_tuple_header(&answer, arity);
	ei_x_encode_atom(&answer, tag);
}

/* A reference goes back as it came. */
static void copy_term(const ei_x_buff *from, int index)
{
	int end = index;

	ei_skip_term(from->buff, &end);
	ei_x_append_buf(&answer, from->buff + index, end - index);
}

static void send_answer(int fd, erlang_pid *to)
{
	ei_send(fd, to, answer.buff, answer.index);
}

static void send_done(int fd, erlang_pid *to, int reference, long succeeded)
{
	begin_answer(3, "done");
	copy_term(&request, reference);
	ei_x_encode_long(&answer, succeeded);
	send_answer(fd, to);
}

static void count_binary(void)
{
	if (sink.fd < 0 || ++sink.count % sink.every != 0)
		return;
	begin_answer(2, "ack");
	ei_x_encode_long(&answer, sink.count);
	send_answer(sink.fd, &sink.to);
}

static void begin_sink(int fd, erlang_pid *to, int index)
{
	if (ei_decode_long(request.buff, &index, &sink.every) || sink.every < 1)
		return;
	sink.fd = fd;
	sink.to = *to;
	sink.count = 0;
	begin_answer(2, "sink_ready");
	ei_x_encode_long(&answer, sink.every);
	send_answer(fd, to);
}

static void pour(int fd, erlang_pid *to, long count, long size)
{
	char *bytes = calloc(1, size);
	ei_x_buff drop;

	ei_x_new(&drop);
	for (; count > 0; count--) {
		begin(&drop);
		ei_x_encode_binary(&drop, bytes, size);
		if (ei_send(fd, to, drop.buff, drop.index) < 0)
			break;
	}
	ei_x_free(&drop);
	free(bytes);
}

static long dial(char *node, long count)
{
	long succeeded = 0;

	for (; count > 0; count--) {
		int fd = ei_connect(&self, node);
		if (fd < 0)
			continue;
		succeeded++;
		ei_close_connection(fd);
	}
	return succeeded;
}

static long call_in_turn(int fd, long count)
{
	ei_x_buff arguments, result;
	long succeeded = 0;

	ei_x_new(&arguments);
	ei_x_encode_empty_list(&arguments);
	ei_x_new(&result);
	for (; count > 0; count--) {
		result.index = 0;
		if (ei_rpc(&self, fd, "erlang", "nodes", arguments.buff, arguments.index, &result) >= 0)
			succeeded++;
	}
	ei_x_free(&result);
	ei_x_free(&arguments);
	return succeeded;
}

/* {'$gen_call', {Self, Reference}, {call, erlang, nodes, [], user}} to rex: ei_rpc's
 * own form has no reference, and answers come in any order. */
static int begin_call(int fd, ei_x_buff *call, erlang_ref *reference)
{
	if (ei_make_ref(&self, reference))
		return -1;
	begin(call);
	ei_x_encode_tuple_header(call, 3);
	ei_x_encode_atom(call, "$gen_call");
	ei_x_encode_tuple_header(call, 2);
	ei_x_encode_pid(call, ei_self(&self));
	ei_x_encode_ref(call, reference);
	ei_x_encode_tuple_header(call, 5);
	ei_x_encode_atom(call, "call");
	ei_x_encode_atom(call, "erlang");
	ei_x_encode_atom(call, "nodes");
	ei_x_encode_empty_list(call);
	ei_x_encode_atom(call, "user");
	return ei_reg_send(&self, fd, "rex", call->buff, call->index);
}

/* The reference of {Reference, Nodes}. */
static int next_answer(int fd, ei_x_buff *reply, erlang_ref *reference)
{
	erlang_msg message;
	int received, index = 0, version, arity, type, size;

	do {
		reply->index = 0;
		received = ei_xreceive_msg(fd, &message, reply);
	} while (received == ERL_TICK);
	if (received != ERL_MSG || ei_decode_version(reply->buff, &index, &version)
		|| ei_decode_tuple_header(reply->buff, &index, &arity) || arity != 2
		|| ei_decode_ref(reply->buff, &index, reference)
		|| ei_get_type(reply->buff, &index, &type, &size))
		return -1;
	return type == ERL_NIL_EXT || type == ERL_LIST_EXT ? 0 : -1;
}

static long find_call(erlang_ref *calls, long count, erlang_ref *reference)
{
	for (long index = 0; index < count; index++)
		if (ei_cmp_refs(&calls[index], reference) == 0)
			return index;
	return -1;
}

static long call_at_once(int fd, long count, long at_once)
{
	static erlang_ref calls[MOST_IN_FLIGHT];
	ei_x_buff call, reply;
	long begun = 0, in_flight = 0, succeeded = 0;

	if (at_once > MOST_IN_FLIGHT)
		at_once = MOST_IN_FLIGHT;
	ei_x_new(&call);
	ei_x_new(&reply);
	while (succeeded < count) {
		erlang_ref answered;
		long which;

		for (; in_flight < at_once && begun < count; begun++, in_flight++)
			if (begin_call(fd, &call, &calls[in_flight]) < 0)
				goto end;
		if (next_answer(fd, &reply, &answered) < 0)
			break;
		which = find_call(calls, in_flight, &answered);
		if (which < 0)
			break;
		calls[which] = calls[--in_flight];
		succeeded++;
	}
end:
	ei_x_free(&call);
	ei_x_free(&reply);
	return succeeded;
}

static void answer_dial(int fd, erlang_pid *to, int reference, int index)
{
	char node[MAXATOMLEN_UTF8];
	long count;

	if (!ei_decode_atom(request.buff, &index, node) && !ei_decode_long(request.buff, &index, &count))
		send_done(fd, to, reference, dial(node, count));
}

static void answer_pour(int fd, erlang_pid *to, int reference, int index)
{
	long count, size;

	if (ei_decode_long(request.buff, &index, &count) || ei_decode_long(request.buff, &index, &size))
		return;
	pour(fd, to, count, size);
	begin_answer(2, "source_done");
	copy_term(&request, reference);
	send_answer(fd, to);
}

static void answer_calls(int fd, erlang_pid *to, int reference, int index, int arity)
{
	long count, at_once = 1;

	if (ei_decode_long(request.buff, &index, &count)
		|| (arity == 5 && ei_decode_long(request.buff, &index, &at_once)))
		return;
	send_done(fd, to, reference, arity == 5 ? call_at_once(fd, count, at_once) : call_in_turn(fd, count));
}

static void obey(int fd)
{
	int index = 0, version, type, size, arity, reference;
	char what[MAXATOMLEN_UTF8];
	erlang_pid to;

	if (ei_decode_version(request.buff, &index, &version)
		|| ei_get_type(request.buff, &index, &type, &size))
		return;
	if (type == ERL_BINARY_EXT) {
		count_binary();
		return;
	}
	if (ei_decode_tuple_header(request.buff, &index, &arity) || arity < 3
		|| ei_decode_atom(request.buff, &index, what) || ei_decode_pid(request.buff, &index, &to))
		return;
	reference = index;
	if (!strcmp(what, "sink")) {
		begin_sink(fd, &to, index);
		return;
	}
	ei_skip_term(request.buff, &index);
	if (!strcmp(what, "ping")) {
		begin_answer(2, "pong");
		copy_term(&request, reference);
		send_answer(fd, &to);
	} else if (!strcmp(what, "source")) {
		answer_pour(fd, &to, reference, index);
	} else if (!strcmp(what, "dial")) {
		answer_dial(fd, &to, reference, index);
	} else if (!strcmp(what, "rpc")) {
		answer_calls(fd, &to, reference, index, arity);
	}
}

/* Whether the link lives on. */
static int read_link(int fd)
{
	erlang_msg message;
	int received;

	request.index = 0;
	received = ei_xreceive_msg(fd, &message, &request);
	if (received == ERL_MSG && (message.msgtype == ERL_SEND || message.msgtype == ERL_REG_SEND))
		obey(fd);
	return received != ERL_ERROR;
}

static void close_link(int fd)
{
	if (fd == sink.fd)
		sink.fd = -1;
	ei_close_connection(fd);
}

static int accept_link(int listener)
{
	const int yes = 1;
	ErlConnect peer;
	int fd = ei_accept_tmo(&self, listener, &peer, HANDSHAKE_MS);

	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
	return fd;
}

static void serve(int listener)
{
	static struct pollfd waiting[1 + MOST_LINKS];
	int count = 1;

	waiting[0] = (struct pollfd){.fd = listener, .events = POLLIN};
	for (;;) {
		if (poll(waiting, count, -1) < 0)
			continue;
		for (int index = count - 1; index > 0; index--) {
			if (!waiting[index].revents || read_link(waiting[index].fd))
				continue;
			close_link(waiting[index].fd);
			waiting[index] = waiting[--count];
		}
		if (waiting[0].revents && count <= MOST_LINKS) {
			int fd = accept_link(listener);
			if (fd >= 0)
				waiting[count++] = (struct pollfd){.fd = fd, .events = POLLIN};
		}
	}
}

static int start(char *name, const char *cookie)
{
	struct in_addr loopback = {.s_addr = htonl(INADDR_LOOPBACK)};
	char alive[MAXATOMLEN_UTF8];
	char *host = strchr(name, '@');
	int port = 0, listener;

	if (!host)
		return -1;
	snprintf(alive, sizeof alive, "%.*s", (int)(host - name), name);
	if (ei_init() || ei_connect_xinit(&self, host + 1, alive, name, &loopback, cookie, getpid()) < 0)
		return -1;
	listener = ei_xlisten(&self, &loopback, &port, SOMAXCONN);
	return listener < 0 || ei_publish(&self, port) < 0 ? -1 : listener;
}

int main(int argc, char **argv)
{
	int listener;

	if (argc != 3) {
		fprintf(stderr, "usage: ei_target NAME@HOST COOKIE\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	listener = start(argv[1], argv[2]);
	if (listener < 0) {
		perror("ei_target: cannot be a node");
		return 1;
	}
	ei_x_new(&request);
	ei_x_new(&answer);
	serve(listener);
}
