-- What people ask of their mail log, for DuckDB in the directory of the table:
--   pflogsumm --parquet events /var/log/mail.log.1 /var/log/mail.log
--   duckdb -c "SELECT ..."

-- 1. Deliveries, deferrals and bounces of each day and host
SELECT date, host,
       count(*) FILTER (status = 'sent')     AS sent,
       count(*) FILTER (status = 'deferred') AS deferred,
       count(*) FILTER (status = 'bounced')  AS bounced
FROM 'events/*/*/*.parquet'
WHERE event = 'delivery'
GROUP BY date, host ORDER BY date, host;

-- 2. Who sends most, by messages and bytes
SELECT sender, count(DISTINCT queue_id) AS messages, sum(size) AS bytes
FROM (SELECT DISTINCT date, host, queue_id, sender, size FROM 'events/*/*/*.parquet' WHERE event = 'active')
GROUP BY sender ORDER BY messages DESC, sender LIMIT 20;

-- 3. Which domains get most, and how long it takes: half, 95 % and the slowest, in seconds
SELECT lower(split_part(recipient, '@', -1)) AS domain, count(*) AS messages,
       round(quantile_cont(delay, 0.5), 2) AS half, round(quantile_cont(delay, 0.95), 2) AS p95, max(delay) AS slowest
FROM 'events/*/*/*.parquet'
WHERE event = 'delivery' AND status = 'sent'
GROUP BY domain ORDER BY messages DESC, domain LIMIT 20;

-- 4. Why mail is turned away
SELECT action, command, reason, count(*) AS times, count(DISTINCT client_address) AS clients
FROM 'events/*/*/*.parquet'
WHERE event = 'verdict'
GROUP BY ALL ORDER BY times DESC, reason LIMIT 20;

-- 5. Which clients are turned away most, and how they call themselves
SELECT client_address, any_value(client) AS client, any_value(helo) AS helo, count(*) AS times
FROM 'events/*/*/*.parquet'
WHERE event = 'verdict' AND action IN ('reject', 'milter-reject', 'proxy-reject')
GROUP BY client_address ORDER BY times DESC, client_address LIMIT 20;

-- 6. Who guesses passwords
SELECT client_address, count(*) AS times, min(time) AS first, max(time) AS last
FROM 'events/*/*/*.parquet'
WHERE event = 'warning' AND text LIKE '%authentication failed%'
GROUP BY client_address ORDER BY times DESC, client_address LIMIT 20;

-- 7. Which accounts send from many addresses: a stolen password does
SELECT sasl_username, count(DISTINCT client_address) AS addresses, count(*) AS messages
FROM 'events/*/*/*.parquet'
WHERE event = 'client' AND sasl_username IS NOT NULL
GROUP BY sasl_username ORDER BY addresses DESC, messages DESC, sasl_username LIMIT 20;

-- 8. Where mail waits, and what those hosts say
SELECT lower(split_part(recipient, '@', -1)) AS domain, relay, count(*) AS attempts,
       count(DISTINCT queue_id) AS messages, arg_max(reason, time) AS last_reason
FROM 'events/*/*/*.parquet'
WHERE event = 'delivery' AND status = 'deferred'
GROUP BY domain, relay ORDER BY attempts DESC, domain LIMIT 20;

-- 9. What became of the mail of one address
SELECT d.time, d.queue_id, a.sender, d.recipient, d.status, d.delay, d.reason
FROM 'events/*/*/*.parquet' d
LEFT JOIN (SELECT DISTINCT host, queue_id, sender FROM 'events/*/*/*.parquet' WHERE event = 'active') a
       ON a.host = d.host AND a.queue_id = d.queue_id
WHERE d.event = 'delivery' AND ('ada@example.org' IN (d.recipient, d.orig_recipient, a.sender))
ORDER BY d.time, d.queue_id, d.recipient;

-- 10. When it is busiest: deliveries and rejects by weekday and hour
SELECT dayname(time) AS weekday, hour(time) AS hour,
       count(*) FILTER (event = 'delivery' AND status = 'sent') AS sent,
       count(*) FILTER (event = 'verdict') AS verdicts
FROM 'events/*/*/*.parquet'
GROUP BY ALL ORDER BY sent + verdicts DESC, weekday, hour LIMIT 20;
