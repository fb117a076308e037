%% Reads and writes JSON; OTP has a module of its own for that only from release 27 on.
%%
%% Objects become maps with binary keys, null becomes an atom.
-module(json_text).

-export([decode/1, encode/1]).

-export_type([json/0]).

-type json() :: null | boolean() | number() | binary() | [json()] | #{binary() => json()}.

-define(IS_SPACE(C), (C =:= $\s orelse C =:= $\t orelse C =:= $\n orelse C =:= $\r)).

%% Fails with {not_json, Rest} on anything that is not exactly one value.
-spec decode(binary()) -> json().
decode(Text) ->
	{Value, Rest} = value(skip(Text)),
	case skip(Rest) of
		<<>> -> Value;
		More -> error({not_json, More})
	end.

%% Texts are binaries; keys may be atoms, too.
-spec encode(json() | #{atom() => json()}) -> iodata().
encode(Map) when is_map(Map) ->
	Fields = [[quoted(key(Key)), $:, encode(Value)] || {Key, Value} <- maps:to_list(Map)],
	[${, lists:join($,, Fields), $}];
encode(List) when is_list(List) -> [$[, lists:join($,, [encode(Value) || Value <- List]), $]];
encode(Text) when is_binary(Text) -> quoted(Text);
encode(Number) when is_integer(Number) -> integer_to_binary(Number);
encode(Word) when is_boolean(Word); Word =:= null -> atom_to_binary(Word).

key(Key) when is_atom(Key) -> atom_to_binary(Key);
key(Key) -> Key.

quoted(Text) ->
	[$", [escape(C) || <<C>> <= Text], $"].

escape($") -> "\\\"";
escape($\\) -> "\\\\";
escape(C) when C < 32 -> io_lib:format("\\u~4.16.0b", [C]);
escape(C) -> C.

value(<<"null", Rest/binary>>) -> {null, Rest};
value(<<"true", Rest/binary>>) -> {true, Rest};
value(<<"false", Rest/binary>>) -> {false, Rest};
value(<<$", Rest/binary>>) -> string(Rest, <<>>);
value(<<$[, Rest/binary>>) -> array(skip(Rest));
value(<<${, Rest/binary>>) -> object(skip(Rest));
value(Text) -> number(Text).

skip(<<C, Rest/binary>>) when ?IS_SPACE(C) -> skip(Rest);
skip(Text) -> Text.

array(<<$], Rest/binary>>) -> {[], Rest};
array(Text) -> elements(Text, []).

elements(Text, Elements) ->
	{Value, Rest} = value(skip(Text)),
	case skip(Rest) of
		<<$,, More/binary>> -> elements(More, [Value | Elements]);
		<<$], More/binary>> -> {lists:reverse(Elements, [Value]), More};
		More -> error({not_json, More})
	end.

object(<<$}, Rest/binary>>) -> {#{}, Rest};
object(Text) -> fields(Text, #{}).

fields(Text, Fields) ->
	{Key, Value, Rest} = field(skip(Text)),
	case skip(Rest) of
		<<$,, More/binary>> -> fields(More, Fields#{Key => Value});
		<<$}, More/binary>> -> {Fields#{Key => Value}, More};
		More -> error({not_json, More})
	end.

field(<<$", Text/binary>>) ->
	{Key, Rest} = string(Text, <<>>),
	case skip(Rest) of
		<<$:, More/binary>> ->
			{Value, After} = value(skip(More)),
			{Key, Value, After};
		More ->
			error({not_json, More})
	end;
field(Text) ->
	error({not_json, Text}).

string(<<$", Rest/binary>>, Text) -> {Text, Rest};
string(<<"\\u", Hex:4/binary, Rest/binary>>, Text) -> escaped(binary_to_integer(Hex, 16), Rest, Text);
string(<<$\\, C, Rest/binary>>, Text) -> string(Rest, <<Text/binary, (unescape(C))>>);
string(<<C, Rest/binary>>, Text) when C >= 32 -> string(Rest, <<Text/binary, C>>);
string(Rest, _) -> error({not_json, Rest}).

%% Characters beyond the first plane come as two escapes.
escaped(High, <<"\\u", Hex:4/binary, Rest/binary>>, Text) when High >= 16#D800, High < 16#DC00 ->
	Low = binary_to_integer(Hex, 16),
	Character = 16#10000 + ((High - 16#D800) bsl 10) + (Low - 16#DC00),
	string(Rest, <<Text/binary, Character/utf8>>);
escaped(Character, Rest, Text) ->
	string(Rest, <<Text/binary, Character/utf8>>).

unescape($b) -> $\b;
unescape($f) -> $\f;
unescape($n) -> $\n;
unescape($r) -> $\r;
unescape($t) -> $\t;
unescape(C) when C =:= $"; C =:= $\\; C =:= $/ -> C.

number(Text) ->
	case re:run(Text, "^-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?", [{capture, first, binary}]) of
		{match, [Digits]} ->
			Size = byte_size(Digits),
			<<_:Size/binary, Rest/binary>> = Text,
			{to_number(Digits), Rest};
		nomatch ->
			error({not_json, Text})
	end.

%% JSON allows 1e3, Erlang wants 1.0e3.
to_number(Digits) ->
	try
		binary_to_integer(Digits)
	catch error:badarg ->
		binary_to_float(re:replace(Digits, "^(-?[0-9]+)([eE])", "\\1.0\\2", [{return, binary}]))
	end.
