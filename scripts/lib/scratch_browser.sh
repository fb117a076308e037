# shellcheck shell=bash
# A headless Chromium of our own, driven by WebDriver. Needs scratch.sh, curl and jq.

BROWSER_SESSION=

# browser_start WIDTH HEIGHT: returns when it can be told what to open. Not at port 0:
# an ephemeral port that is free for IPv4 may be taken for IPv6, and it wants both.
browser_start() {
	local id port
	port=$(free_port)
	scratch_start chromedriver KILL chromedriver --port="$port"
	await 20 browser_has_started || die "chromedriver does not start: $(cat "$SCRATCH/chromedriver.log")"
	BROWSER_SESSION=http://127.0.0.1:$port/session
	# The pipe ends the browser with its driver.
	id=$(browser_post '' '{"capabilities": {"alwaysMatch": {"goog:chromeOptions": {
		"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
			"--remote-debugging-pipe", "--user-data-dir='"$SCRATCH"'/chromium"],
		"mobileEmulation": {"deviceMetrics": {"width": '"$1"', "height": '"$2"', "pixelRatio": 1,
			"mobile": false, "touch": false}}}}}}' | jq -r .sessionId)
	BROWSER_SESSION+=/$id
}

browser_has_started() {
	grep -q 'started successfully' "$SCRATCH/chromedriver.log"
}

# browser_post PATH JSON: prints the value of the answer.
browser_post() {
	curl -sS --fail-with-body -X POST -H 'Content-Type: application/json' -d "$2" "$BROWSER_SESSION$1" |
		jq .value
}

browser_open() {
	browser_post /url "$(jq -n --arg url "$1" '{url: $url}')" >/dev/null
}

# browser_script SCRIPT: prints what it returns, as JSON.
browser_script() {
	browser_post /execute/sync "$(jq -n --arg script "$1" '{script: $script, args: []}')"
}

# browser_shows SCRIPT: whether it returns true.
browser_shows() {
	[[ $(browser_script "$1" 2>/dev/null) == true ]]
}

# browser_click SELECTOR: the element itself gets the click, whatever covers it.
browser_click() {
	browser_script "document.querySelector(\`$1\`).dispatchEvent(new MouseEvent('click', {bubbles: true}))" >/dev/null
}

# browser_prefers SCHEME: light or dark, as the system would say.
browser_prefers() {
	browser_post /goog/cdp/execute '{"cmd": "Emulation.setEmulatedMedia",
		"params": {"features": [{"name": "prefers-color-scheme", "value": "'"$1"'"}]}}' >/dev/null
}

browser_screenshot() {
	curl -sS --fail "$BROWSER_SESSION/screenshot" | jq -r .value | base64 -d >"$1"
}
